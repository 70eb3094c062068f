"""ROUGE equals Google's rouge_score where that is defined, and works in every script."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from seqsmith.evaluate.scores import score_texts

THEIRS = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
texts = st.text(alphabet="abcABC1 .-'_é猫", max_size=30)


@settings(max_examples=40)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_the_score_is_the_mean_f_of_rouge_score(pairs: list[tuple[str, str]]) -> None:
    outputs, references = zip(*pairs, strict=True)
    scorer = RougeScorer(list(THEIRS.values()))
    found = [scorer.score(reference, output) for output, reference in pairs]
    for score in score_texts(outputs, references, list(THEIRS), rouge_words="latin", resamples=0):
        expected = sum(one[THEIRS[score.name]].fmeasure for one in found) / len(found)
        assert score.value == pytest.approx(100 * expected, abs=1e-9)


def test_the_best_of_several_references_counts_as_in_rouge_score() -> None:
    output, several = "the cat sat on the mat", ["a dog ran", "the cat is on the mat", "the mat sat"]
    found = RougeScorer(list(THEIRS.values())).score_multi(several, output)
    for score in score_texts([output], [several], list(THEIRS), rouge_words="latin", resamples=0):
        assert score.value == pytest.approx(100 * found[THEIRS[score.name]].fmeasure)


@pytest.mark.parametrize(
    ("output", "reference", "shared"),
    [
        ("кот сидел дома", "Кот сидел здесь", 2),
        ("हिन्दी में लिखा", "हिन्दी में पढ़ा", 2),
        ("我喜欢苹果", "我喜欢香蕉", 3),
        ("für die Straße", "für eine Straße", 2),
    ],
)
def test_words_of_other_scripts_are_words(output: str, reference: str, shared: int) -> None:
    (score,) = score_texts([output], [reference], ["rouge_1"], resamples=0)
    assert score.counts["matched_1_grams"] == shared
    assert "tok:unicode" in score.signature


def test_the_signature_tells_how_words_were_cut() -> None:
    for words in ("latin", "unicode"):
        (score,) = score_texts(["a b"], ["a b"], ["rouge_l"], rouge_words=words, resamples=0)
        assert f"tok:{words}|" in score.signature
