"""The cut into words that fits a script is found from the references."""

import pytest

from seqsmith.evaluate.words import fitting_rouge_words, fitting_tokenize, latin_words, unicode_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sat on the mat.", "13a"),
        ("кот сидел на ковре", "13a"),
        ("고양이가 매트 위에 앉았다", "13a"),
        ("他昨天没有来学校。", "zh"),
        ("我昨天在 2020 号店买了两台手机和电脑", "zh"),
        ("昨日は学校に行きませんでした。", "char"),
        ("東京都知事選挙の投票", "char"),
        ("แมวนั่งบนเสื่อ", "char"),
        ("He said 你好 to me yesterday", "13a"),
        ("", "13a"),
    ],
)
def test_bleu_is_cut_as_the_script_asks(text: str, expected: str) -> None:
    assert fitting_tokenize([text]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please confirm our meeting on Tuesday at 9.", "latin"),
        ("Zwei Männer stehen vor großen Bäumen.", "unicode"),
        ("кот", "unicode"),
        ("12:30", "latin"),
    ],
)
def test_rouge_keeps_to_latin_words_for_english_alone(text: str, expected: str) -> None:
    assert fitting_rouge_words([text]) == expected


def test_one_foreign_name_does_not_change_the_cut_of_english() -> None:
    assert fitting_rouge_words(["an ordinary sentence in English"] * 20 + ["José"]) == "latin"


def test_unicode_words_hold_marks_together_and_split_han() -> None:
    assert unicode_words("Don't STOP_now") == ["don", "t", "stop", "now"]
    assert unicode_words("हिन्दी में") == ["हिन्दी", "में"]
    assert unicode_words("iPhone手机") == ["iphone", "手", "机"]


def test_latin_and_unicode_words_agree_on_plain_english() -> None:
    text = "Re: Meeting @ 9:30 -- bring 3 copies!"
    assert latin_words(text) == unicode_words(text)
