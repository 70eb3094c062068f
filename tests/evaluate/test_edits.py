"""Edit counts against jiwer and against a naive table; the error rates and exact match made of them."""

import unicodedata

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith.evaluate.edits import edits
from seqsmith.evaluate.scores import score_texts

words = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=8).map(" ".join)


def naive_distance(output: list[str], reference: list[str]) -> int:
    """Wagner & Fischer 1974, the whole table."""
    table = np.zeros((len(output) + 1, len(reference) + 1), dtype=int)
    table[:, 0], table[0] = range(len(output) + 1), range(len(reference) + 1)
    for i, left in enumerate(output, start=1):
        for j, right in enumerate(reference, start=1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (left != right))
    return int(table[-1, -1])


@settings(max_examples=40)
@given(words, words)
def test_the_edits_are_the_fewest(output: str, reference: str) -> None:
    found = edits(output, reference, unit="word")
    assert found.total == naive_distance(output.split(), reference.split())
    assert found.insertions - found.deletions == len(output.split()) - len(reference.split())
    assert found.reference == len(reference.split())


@settings(max_examples=40)
@given(words, words)
def test_turning_back_exchanges_insertions_and_deletions(output: str, reference: str) -> None:
    forth, back = edits(output, reference, unit="word"), edits(reference, output, unit="word")
    assert forth.total == back.total
    assert forth.insertions - forth.deletions == back.deletions - back.insertions


@pytest.mark.parametrize(
    ("outputs", "references"),
    [
        (["the cat sat on mat", "hello there world"], ["the cat sat on the mat", "hello world"]),
        (["これは 猫 です", "नमस्ते दुनिया"], ["これは 犬 です", "नमस्ते सारी दुनिया"]),
        (["", "a b c"], ["only reference", "c b a"]),
    ],
)
def test_rates_and_counts_are_jiwers(outputs: list[str], references: list[str]) -> None:
    wer, cer = score_texts(outputs, references, ["wer", "cer"], resamples=0)
    of_words = jiwer.process_words(references, outputs)
    of_characters = jiwer.process_characters(references, outputs)
    assert wer.value == pytest.approx(100 * of_words.wer)
    assert cer.value == pytest.approx(100 * of_characters.cer)
    for score, expected in ((wer, of_words), (cer, of_characters)):
        for kind in ("substitutions", "insertions", "deletions"):
            assert score.counts[kind] == getattr(expected, kind)


def test_rates_are_over_the_corpus_not_the_mean_of_segments() -> None:
    (score,) = score_texts(["x", "a b c d e f g h i"], ["y", "a b c d e f g h i"], ["wer"], resamples=0)
    assert score.value == pytest.approx(10)


def test_per_counts_symbols_that_spaces_separate() -> None:
    (score,) = score_texts(["k ae t͡ʃ"], ["k a t͡ʃ"], ["per"], resamples=0)
    assert score.value == pytest.approx(100 / 3)
    assert score.counts["reference_symbols"] == 3


def test_a_long_output_may_have_more_errors_than_words() -> None:
    (score,) = score_texts(["a b c d"], ["x"], ["wer"], resamples=0)
    assert score.value == pytest.approx(400)


def test_references_without_words_are_right_when_outputs_have_none() -> None:
    (nothing,) = score_texts([""], [""], ["wer"], resamples=0)
    (something,) = score_texts(["a b"], [""], ["wer"], resamples=0)
    assert (nothing.value, something.value) == (0, 100)


def test_composed_and_decomposed_text_is_the_same_text() -> None:
    text = "Zwölf Büsche über 한국어"
    names = ["exact_match", "ser", "wer", "cer", "per"]
    for score in score_texts([unicodedata.normalize("NFD", text)], [text], names, resamples=0):
        assert score.value == (100 if score.name == "exact_match" else 0)
        assert "norm:nfc" in score.signature


def test_space_around_a_text_does_not_count_but_case_does() -> None:
    (exact,) = score_texts([" a b\t", "A b"], ["a b", "a b"], ["exact_match"], resamples=0)
    assert exact.value == 50
    assert dict(exact.counts) == {"exact": 1, "wrong": 1}


@settings(max_examples=40)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=6))
def test_sequence_errors_and_exact_matches_make_up_the_whole(pairs: list[tuple[str, str]]) -> None:
    outputs, references = zip(*pairs, strict=True)
    exact, wrong = score_texts(outputs, references, ["exact_match", "ser"], resamples=0)
    assert exact.value + wrong.value == pytest.approx(100)


def test_the_reference_with_the_fewest_edits_counts() -> None:
    (score,) = score_texts(["a b c"], [["x y z", "a b d"]], ["wer"], resamples=0)
    assert score.counts["substitutions"] == 1
