"""Text from users' files made safe to print: no control characters, nothing that a spreadsheet takes for a formula."""

from __future__ import annotations


def printable(text: str, *, longest: int | None = 60) -> str:
    """`text` with every character that does not print written as an escape, cut to `longest` characters (None: whole).

    A leading `=`, `+`, `-` or `@` gets an apostrophe before it, which spreadsheets read as "this is text".
    """
    cut = text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
    escaped = cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)
    return f"'{escaped}" if escaped.startswith(("=", "+", "-", "@")) else escaped
