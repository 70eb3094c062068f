"""Signs of trouble are seen where there are some, and not where the references show the same."""

from __future__ import annotations

import pytest

from seqsmith.evaluate.symptoms import symptoms

SENTENCE = "two men are talking to each other about the weather in the street"


@pytest.mark.parametrize(
    ("output", "sign"),
    [
        ("", "are empty"),
        ("  ", "are empty"),
        ("zwei Männer", None),
        (SENTENCE, "copy their source"),
        ("the man the man the man the man the man the man", "repeat themselves"),
        ("hahahahahahahahahahahaha", "repeat themselves"),
        ("zwei Männer reden miteinander auf der Straße über das Wetter und über das Essen", None),
        ("x x x x x x x x", "repeat themselves"),
        ("aaaaaaaaaaaa", "repeat themselves"),
        ("no no no no no no", "repeat themselves"),
        ("abcabcabcabcabc", "repeat themselves"),
        ("CCCCC", "repeat themselves"),
        ("aaa", None),
        ("no no no", None),
        ("in the year 1111 and so on", None),
    ],
)
def test_each_sign_is_told_by_its_name(output: str, sign: str | None) -> None:
    told = list(symptoms([SENTENCE], [output], ["zwei Männer reden"]))
    assert [sentence for sentence in told if sign is not None and sign in sentence] == told
    assert bool(told) == (sign is not None)


def test_what_the_reference_does_too_is_no_sign() -> None:
    for text in (SENTENCE, "ha" * 20, "1111"):
        assert list(symptoms([text], [text], [text])) == []


def test_one_answer_in_twenty_is_let_pass() -> None:
    outputs = ["", *["fine"] * 19]
    assert list(symptoms(["a"] * 20, outputs, ["b"] * 20)) == []
    assert list(symptoms(["a"] * 19, outputs[:19], ["b"] * 19)) == [
        "1 of 19 answers are empty: trained too little, or search.shortest could be raised"
    ]


def test_no_answers_have_no_signs() -> None:
    assert list(symptoms([], [], [])) == []
