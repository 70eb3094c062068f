"""Laws that every score keeps, and what is wrong with outputs and references that do not fit together."""

import random

import pytest

from seqsmith.errors import UserError
from seqsmith.evaluate.scores import NAMES, paired_test, score_texts

REFERENCES = [
    "the cat sat on the mat in the sun",
    "zwei junge Männer sind im Freien , nahe vieler Büsche",
    "он быстро побежал домой через старый лес",
    "un éléphant ça trompe énormément , dit-on souvent ici",
]
OUTPUTS = [
    "the cat sat on a mat in the sun",
    "zwei Männer sind im Freien nahe vieler grüner Büsche",
    "он побежал домой через старый лес",
    "un éléphant ça trompe énormément , dit-on souvent ici",
]
NOTHING_SHARED = ["qqq jjj kkk zzz"] * 4


def spoilt(references: list[str], share: float, seed: int) -> list[str]:
    """The references with about `share` of the words replaced."""
    chance = random.Random(seed)
    return [" ".join("###" if chance.random() < share else word for word in text.split()) for text in references]


@pytest.mark.parametrize("name", NAMES)
def test_perfect_outputs_have_the_best_value(name: str) -> None:
    (score,) = score_texts(REFERENCES, REFERENCES, [name])
    best = 100.0 if score.better == "higher" else 0.0
    assert (score.value, score.low, score.high) == pytest.approx((best, best, best))


@pytest.mark.parametrize("name", NAMES)
def test_worse_outputs_score_worse(name: str) -> None:
    (good,) = score_texts(OUTPUTS, REFERENCES, [name], resamples=0)
    (bad,) = score_texts(NOTHING_SHARED, REFERENCES, [name], resamples=0)
    assert good.value > bad.value if good.better == "higher" else good.value < bad.value


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_segments_does_not_matter(name: str) -> None:
    order = [2, 0, 3, 1]
    (score,) = score_texts(OUTPUTS, REFERENCES, [name], resamples=0)
    (shuffled,) = score_texts([OUTPUTS[i] for i in order], [REFERENCES[i] for i in order], [name], resamples=0)
    assert shuffled.value == pytest.approx(score.value, abs=1e-9)
    assert shuffled.signature == score.signature
    assert dict(shuffled.counts) == pytest.approx(dict(score.counts))


@pytest.mark.parametrize("name", NAMES)
def test_a_score_lies_within_its_interval(name: str) -> None:
    (score,) = score_texts(OUTPUTS, REFERENCES, [name], resamples=50)
    assert score.low <= score.value <= score.high


@pytest.mark.parametrize("name", NAMES)
def test_a_list_of_one_reference_is_one_reference(name: str) -> None:
    assert score_texts(OUTPUTS, [[text] for text in REFERENCES], [name]) == score_texts(OUTPUTS, REFERENCES, [name])


@pytest.mark.parametrize("name", ["chrf", "exact_match", "ser", "wer", "cer", "per", "rouge_1", "rouge_2", "rouge_l"])
def test_one_more_reference_never_makes_a_segment_worse(name: str) -> None:
    (one,) = score_texts(OUTPUTS[:1], REFERENCES[:1], [name], resamples=0)
    (two,) = score_texts(OUTPUTS[:1], [[REFERENCES[0], REFERENCES[3]]], [name], resamples=0)
    (right,) = score_texts(OUTPUTS[:1], [[REFERENCES[0], OUTPUTS[0]]], [name], resamples=0)
    assert two.value == pytest.approx(one.value)
    assert right.value == pytest.approx(100.0 if right.better == "higher" else 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_empty_outputs_and_empty_references_have_a_value(name: str) -> None:
    for outputs, references in ((["", "a b"], ["a b c d", ""]), (["", ""], ["", ""]), (["a b c d"], [""])):
        (score,) = score_texts(outputs, references, [name], resamples=20)
        assert 0 <= score.low <= score.value <= score.high <= 1000


def test_names_are_scored_in_the_order_asked_and_alone_or_together_alike() -> None:
    together = score_texts(OUTPUTS, REFERENCES, NAMES, resamples=50)
    alone = [score for name in NAMES for score in score_texts(OUTPUTS, REFERENCES, [name], resamples=50)]
    assert [score.name for score in together] == list(NAMES)
    for one, other in zip(together, alone, strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-9)


def test_the_same_seed_gives_the_same_interval() -> None:
    assert score_texts(OUTPUTS, REFERENCES, ["bleu"], seed=4) == score_texts(OUTPUTS, REFERENCES, ["bleu"], seed=4)


def test_no_resamples_give_no_interval() -> None:
    (score,) = score_texts(OUTPUTS, REFERENCES, ["bleu"], resamples=0)
    assert score.low == score.value == score.high
    assert score.interval == "none"


def test_an_interval_shrinks_with_more_segments() -> None:
    references = REFERENCES * 25
    outputs = spoilt(references, 0.2, seed=1)
    for few, many in zip(
        score_texts(outputs[:20], references[:20], ["wer", "bleu", "rouge_l"]),
        score_texts(outputs, references, ["wer", "bleu", "rouge_l"]),
        strict=True,
    ):
        assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize("name", NAMES)
def test_a_system_does_not_differ_from_itself(name: str) -> None:
    test = paired_test(OUTPUTS, OUTPUTS, REFERENCES, name, resamples=50)
    assert (test.difference, test.low, test.high, test.p_value, test.wins) == (0.0, 0.0, 0.0, 1.0, 0.5)
    assert test.value_a == test.value_b


@pytest.mark.parametrize("name", NAMES)
def test_a_much_better_system_is_found_better(name: str) -> None:
    references = REFERENCES * 10
    test = paired_test(references, spoilt(references, 0.4, seed=1), references, name, resamples=300)
    assert test.p_value < 0.01
    assert test.wins == 1.0
    assert test.low > 0 if test.better == "higher" else test.high < 0
    assert test.difference == pytest.approx(test.value_a - test.value_b)


def test_exchanging_the_systems_turns_the_sign() -> None:
    references = REFERENCES * 10
    a, b = spoilt(references, 0.2, seed=1), spoilt(references, 0.2, seed=2)
    forth, back = (paired_test(*pair, references, "wer", resamples=200) for pair in ((a, b), (b, a)))
    assert (back.difference, back.low, back.high) == pytest.approx((-forth.difference, -forth.high, -forth.low))
    assert back.p_value == forth.p_value
    assert back.wins == pytest.approx(1 - forth.wins)


def test_different_numbers_of_outputs_and_references_are_both_told() -> None:
    with pytest.raises(UserError, match=r"Found 3 outputs and 4 references.*Is a line missing"):
        score_texts(OUTPUTS[:3], REFERENCES, ["bleu"])
    with pytest.raises(UserError, match="Found 3 outputs and 4 references"):
        paired_test(OUTPUTS, OUTPUTS[:3], REFERENCES, "bleu")


def test_nothing_to_score_is_said() -> None:
    with pytest.raises(UserError, match="Found no outputs and no references"):
        score_texts([], [], ["bleu"])


def test_an_output_without_any_reference_is_named() -> None:
    with pytest.raises(UserError, match="Output 2 has an empty list of references"):
        score_texts(["a", "b"], [["a"], []], ["wer"])


def test_a_typo_in_a_name_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"Unknown score `blue`\. Did you mean `bleu`"):
        score_texts(OUTPUTS, REFERENCES, ["blue"])


def test_an_unknown_tokeniser_is_refused() -> None:
    with pytest.raises(UserError, match=r"Unknown BLEU tokeniser `13b`\. Did you mean `13a`"):
        score_texts(OUTPUTS, REFERENCES, ["bleu"], tokenize="13b")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"Unknown words for ROUGE `Latin`\. Did you mean `latin`"):
        score_texts(OUTPUTS, REFERENCES, ["rouge_1"], rouge_words="Latin")  # type: ignore[arg-type]
