"""Subword marks in text that came already split: `vor@@ wärts` and `▁vor wärts` are joined to be scored as words."""

from __future__ import annotations


def joined(text: str) -> str:
    """The words of a text of marked subwords; other text comes back as it is."""
    if "▁" in text:
        return text.replace(" ", "").replace("▁", " ").strip()
    return (text + " ").replace("@@ ", "").rstrip(" ") if "@@" in text else text
