"""Bring text to one form before it is cut: a Unicode normal form (Standard Annex 15) and lower case, if wanted."""

from __future__ import annotations

import unicodedata
from typing import Literal

Form = Literal["none", "nfc", "nfd", "nfkc", "nfkd"]


def normalise(text: str, form: Form = "none", *, lowercase: bool = False) -> str:
    """The text in this form. Doing it twice changes nothing."""
    text = _normal(text, form)
    # Lower case can leave the form (the two dots of U+0130 come apart), and compatibility forms yield capitals.
    return _normal(text.lower(), form) if lowercase else text


def _normal(text: str, form: Form) -> str:
    match form:
        case "none":
            return text
        case "nfc":
            return unicodedata.normalize("NFC", text)
        case "nfd":
            return unicodedata.normalize("NFD", text)
        case "nfkc":
            return unicodedata.normalize("NFKC", text)
        case "nfkd":
            return unicodedata.normalize("NFKD", text)
