"""How the scores cut texts into words, and which cut fits the script of the references."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from seqsmith.text.scripts import HAN, OTHER_UNSPACED

Tokenize = Literal["13a", "intl", "zh", "char", "none"]  # sacreBLEU's tokenisers that need no download
RougeWords = Literal["latin", "unicode"]


def fitting_tokenize(references: Iterable[str]) -> Tokenize:
    """`13a` where words have spaces between them, `zh` for text mostly in Han, `char` for Japanese, Thai and such.

    Japanese mixes Han with kana, so a tenth of kana is enough to make a text not Chinese.
    """
    han = other = visible = 0
    for text in references:
        han += len(re.findall(f"[{HAN}]", text))
        other += len(re.findall(f"[{OTHER_UNSPACED}]", text))
        visible += len(re.findall(r"\S", text))
    if 2 * (han + other) <= visible:
        return "13a"
    return "char" if 10 * other >= han + other else "zh"


def fitting_rouge_words(references: Iterable[str]) -> RougeWords:
    """`latin`, the words of the published numbers, unless more than one letter in 200 is not in a-z."""
    letters = foreign = 0
    for text in references:
        letters += len(re.findall(r"[^\W\d_]", text))
        foreign += len(re.findall(r"[^\W\d_\x00-\x7f]", text))
    return "unicode" if 200 * foreign > letters else "latin"


def latin_words(text: str) -> list[str]:
    """Lower-case runs of a-z and 0-9, as in the original ROUGE (Lin 2004); all other characters only separate."""
    return re.findall("[a-z0-9]+", text.lower())


def unicode_words(text: str) -> list[str]:
    """Lower-case runs of letters, marks and digits of any script; of scripts without spaces, each character."""
    text = unicodedata.normalize("NFC", text.lower())
    # Python's \w leaves out combining marks and would break Hindi words at their vowels.
    text = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return re.sub(f"[{HAN}{OTHER_UNSPACED}]", r" \g<0> ", text).split()
