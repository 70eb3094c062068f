"""Scripts that are written without spaces between words."""

from __future__ import annotations

import re
from collections import Counter

HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Thai, Lao, Tibetan, Burmese, Khmer and kana: written, like Han, without spaces between words.
OTHER_UNSPACED = "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"


def mostly_unspaced(characters: Counter[str]) -> bool:
    """Whether most of these are of such a script."""
    unspaced = re.compile(f"[{HAN}{OTHER_UNSPACED}]")
    return 2 * sum(count for c, count in characters.items() if unspaced.match(c)) > characters.total()
