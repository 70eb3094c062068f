"""The special ids, which every vocabulary begins with. No text ever becomes one of them, except what is unknown."""

from __future__ import annotations

PAD, UNKNOWN, BEGIN, END = 0, 1, 2, 3
HIDDEN = frozenset({PAD, BEGIN, END})  # those that decoded text does not show
SPECIALS = ("<pad>", "<unknown>", "<begin>", "<end>")
"""How the special ids look in pictures. In decoded text only UNKNOWN shows, as the replacement character."""
