"""Tables in text: TSV (plain tabs, no quoting, no escapes) and CSV (RFC 4180, quoted line breaks included)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from seqsmith import config
from seqsmith.data.columns import Role, Rows, choose
from seqsmith.data.counts import Counts
from seqsmith.data.files import shown
from seqsmith.data.lines import Lines, read_lines
from seqsmith.errors import UserError

_NAMES = {  # of columns, as such files have them
    *("source", "src", "input", "original", "word", "lemma", "grapheme", "graphemes", "text", "sentence", "question"),
    *("target", "tgt", "trg", "output", "translation", "reference", "form", "tags", "features", "answer"),
    *("pronunciation", "phoneme", "phonemes", "ipa"),
    *("ar", "cs", "de", "en", "es", "fi", "fr", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "zh"),
    *("english", "french", "german", "spanish", "italian", "portuguese", "russian", "chinese", "japanese"),
}
_SEMICOLONS = "Semicolons separate nothing here: save the table with commas (.csv) or tabs (.tsv)."
_QUOTED = "Put the whole cell in quotation marks and double those inside it."
CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",]*))(,|\Z)')


@dataclass(frozen=True)
class _Records:
    """Rows as one flat list of cells, which is built and cut into columns without a Python object for each row."""

    line: list[int]
    width: list[int]
    cells: list[str]

    def rows(self) -> Iterator[list[str]]:
        end = 0
        for width in self.width:
            yield self.cells[end : end + width]
            end += width

    def without(self, index: int) -> _Records:
        start = sum(self.width[:index])
        cells = self.cells[:start] + self.cells[start + self.width[index] :]
        return _Records(self.line[:index] + self.line[index + 1 :], self.width[:index] + self.width[index + 1 :], cells)


@dataclass(frozen=True)
class _Layout:
    column: dict[str, int]  # role name -> index
    width: int
    header: bool


def read_separated(
    path: str, roles: Sequence[Role], settings: config.Data, counts: Counts, *, comma: bool
) -> Iterator[Rows]:
    """All rows, empty ones included. Every row must have as many columns as the first; a blank line is an empty row."""
    lines = read_lines(path, settings, counts)
    blocks = _comma_separated(lines, settings, counts) if comma else _tab_separated(lines, counts)
    layout: _Layout | None = None
    where = shown(path)
    for block in blocks:
        if layout is None:
            index, row = next((x for x in enumerate(block.rows()) if not _blank(x[1])), (0, None))
            if row is None:
                yield Rows(where, block.line, {role.name: [""] * len(block.line) for role in roles if role.position})
                continue
            layout = _layout(row, f"{where}:{block.line[index]}", roles, settings, comma=comma)
            if layout.header:
                counts.headers.add(where, [block.line[index]])
                block = block.without(index)
            else:
                _tell_what_is_unclear(row, layout, where, block.line[index], settings, counts, comma=comma)
        yield Rows(where, block.line, _columns(block, layout, where, comma=comma))


def read_records(
    path: str, settings: config.Data, counts: Counts, *, comma: bool
) -> Iterator[tuple[list[int], list[list[str]]]]:
    """All rows with the line each starts at, the header among them, whatever their number of cells."""
    lines = read_lines(path, settings, counts)
    for block in _comma_separated(lines, settings, counts) if comma else _tab_separated(lines, counts):
        yield block.line, list(block.rows())


def _columns(block: _Records, layout: _Layout, where: str, *, comma: bool) -> dict[str, list[str]]:
    cells = block.cells
    if set(block.width) - {layout.width}:
        fitting = (
            _fitting(row, f"{where}:{line}", layout, comma=comma)
            for line, row in zip(block.line, block.rows(), strict=True)
        )
        cells = [cell for row in fitting for cell in row]
    return {name: cells[column :: layout.width] for name, column in layout.column.items()}


def _blank(row: list[str]) -> bool:
    return len(row) == 1 and not row[0].strip()


def _layout(first: list[str], where: str, roles: Sequence[Role], settings: config.Data, *, comma: bool) -> _Layout:
    header = settings.header
    if header is None:
        wanted = {role.name for role in roles} & {"source", "target"}
        header = any(isinstance(role.column, str) for role in roles) or wanted <= set(first)
        if not header and wanted <= {cell.strip().lower() for cell in first}:
            raise UserError(
                f"{where}: are these names of columns? Write them as {' and '.join(sorted(wanted))}, or set "
                "data.header."
            )
        known = [{role.name, *role.names} for role in roles if role.names]
        header = header or (bool(known) and all(names & set(first) for names in known))
    names = first if header else None
    hint = _hint(first[0], comma=comma) if len(first) == 1 else ""
    column = choose(roles, names, width=len(first), where=where, kind=_kind(comma), hint=hint)
    return _Layout(column, len(first), header)


def _tell_what_is_unclear(
    first: list[str], layout: _Layout, where: str, line: int, settings: config.Data, counts: Counts, *, comma: bool
) -> None:
    """A table whose columns go by their place may hold more than was meant, as most CSV files have a header."""
    if settings.header is None and (comma or _NAMES.issuperset(cell.strip().lower() for cell in first)):
        counts.nameless.add(where, [line])
    if "target" in layout.column:  # whoever only answers leaves out more
        unused = layout.width - len(set(layout.column.values()))
        counts.unused_columns.add(where, [line] * unused)


def _kind(comma: bool) -> str:
    return "comma-separated" if comma else "tab-separated"


def _hint(line: str, *, comma: bool) -> str:
    if line.startswith("{"):
        return " Objects of JSON, one a line? Let the file's name end in .jsonl."
    if comma and "\t" in line:
        return " The line holds a tab: if tabs separate the columns, let the file's name end in .tsv."
    if not comma and "," in line:
        return (
            " If commas separate the columns, let the file's name end in .csv; if this is the source side alone, "
            "give the target file as the second one (--dev SOURCES --dev TARGETS)."
        )
    if ";" in line:
        return f" {_SEMICOLONS}"
    return " If this is the source side alone, give the target file as the second one (--dev SOURCES --dev TARGETS)."


def _fitting(row: list[str], where: str, layout: _Layout, *, comma: bool) -> list[str]:
    if len(row) == layout.width:
        return row
    if _blank(row):
        return [""] * layout.width
    message = f"{where}: expected {layout.width} columns ({_kind(comma)}) as in the first row, found {len(row)}."
    if len(row) < layout.width:
        raise UserError(f"{message} Mend the line, or take it out.")
    if comma:
        raise UserError(f"{message} A comma inside a text? Put the text in quotation marks.")
    raise UserError(f"{message} A tab inside a text? Use a space, or a format that can hold tabs: .csv or .jsonl.")


def _tab_separated(blocks: Iterable[Lines], counts: Counts) -> Iterator[_Records]:
    for block in blocks:
        line, texts = block.numbers(), block.texts
        if block.bad:
            counts.bad_utf8_skipped.add(block.path, [line[index] for index in sorted(block.bad)])
            kept = [index for index in range(len(texts)) if index not in block.bad]
            line, texts = [line[index] for index in kept], [texts[index] for index in kept]
        yield _split(line, texts, "\t")


def _split(line: list[int], texts: list[str], separator: str) -> _Records:
    width = [text.count(separator) + 1 for text in texts]
    return _Records(line, width, separator.join(texts).split(separator) if texts else [])


def _comma_separated(blocks: Iterable[Lines], settings: config.Data, counts: Counts) -> Iterator[_Records]:
    """A record is whole where its quotation marks are even in number; until then, line breaks belong to a cell."""
    opened: list[str] = []
    start = size = 0
    bad = False
    where = ""
    for block in blocks:
        if not opened and not block.bad and '"' not in "".join(block.texts):
            yield _split(block.numbers(), block.texts, ",")
            continue
        records = _Records([], [], [])
        for index, text in enumerate(block.texts):
            if not opened:
                start, size, bad, where = block.first + index, 0, False, f"{block.path}:{block.first + index}"
            bad = bad or index in block.bad
            size += len(text) + 1
            if size > settings.longest_line_bytes + 1:
                raise UserError(
                    f"{where}: the row that starts here is longer than {settings.longest_line_bytes:,} characters. "
                    "Is a quotation mark never closed? If the row is meant, raise data.longest_line_bytes."
                )
            if (text.count('"') % 2 == 1) != bool(opened):
                opened.append(text)
                continue
            if bad:
                counts.bad_utf8_skipped.add(block.path, [start])
            else:
                cells = _cells("\n".join([*opened, text]), where)
                records.line.append(start)
                records.width.append(len(cells))
                records.cells.extend(cells)
            opened = []
        yield records
    if opened:
        raise UserError(f"{where}: a quotation mark that opens in this row is never closed.")


def _cells(record: str, where: str) -> list[str]:
    if '"' not in record:
        return record.split(",")
    cells: list[str] = []
    position, comma = 0, ","
    while comma:
        match = CELL.match(record, position)
        if match is None:
            raise UserError(
                f"{where}: a quotation mark in the middle of cell {len(cells) + 1}. "
                + (_SEMICOLONS if '";' in record else _QUOTED)
            )
        quoted, plain, comma = match.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        position = match.end()
    return cells
