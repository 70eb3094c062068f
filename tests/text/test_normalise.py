"""Laws of normalisation."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith.text.normalise import Form, normalise

FORMS: tuple[Form, ...] = ("none", "nfc", "nfd", "nfkc", "nfkd")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lowercase", [False, True])
def test_normalising_any_character_twice_changes_nothing(form: Form, lowercase: bool) -> None:
    for character in map(chr, chain(range(0x3400), range(0xA000, 0xAC10), range(0xE000, 0x20000))):  # few ideographs
        once = normalise(character, form, lowercase=lowercase)
        assert normalise(once, form, lowercase=lowercase) == once


@given(st.text())
def test_no_form_and_no_lower_case_is_the_identity(text: str) -> None:
    assert normalise(text) == text


def test_composed_and_decomposed_accents_meet() -> None:
    assert normalise("e\u0301", "nfc") == "\u00e9"
    assert normalise("\u00e9", "nfd") == "e\u0301"
    assert normalise("\ufb01\u00b2", "nfkc") == "fi2"
    assert normalise("STRASSE Ä", "nfd", lowercase=True) == "strasse a\u0308"
