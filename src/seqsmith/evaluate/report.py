"""Scores as people and programs read them: an aligned table, a dict for JSON, and the worst outputs of a corpus."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqsmith.errors import UserError
from seqsmith.evaluate.edits import edits
from seqsmith.evaluate.scores import Paired, Score

TITLES = {
    "bleu": "BLEU",
    "chrf": "chrF++",
    "ter": "TER",
    "exact_match": "exact match",
    "ser": "sequence errors",
    "wer": "WER",
    "cer": "CER",
    "per": "PER",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
}


@dataclass(frozen=True)
class Example:
    """One segment; `error` is its edits in characters as a share of the longer of output and reference."""

    number: int  # counted from 1, as lines are
    source: str
    reference: str
    output: str
    edits: int
    error: float


def render(scores: Sequence[Score]) -> str:
    """The scores as a table of plain text, one line each, and how their intervals were made below it."""
    rows = [("score", "value", "", "95 % interval", "better", "signature")]
    for score in scores:
        bounds = f"{score.low:.2f} to {score.high:.2f}" if score.interval != "none" else "-"
        sign = "%" if score.unit == "percent" else ""
        rows.append((TITLES[score.name], f"{score.value:.2f}", sign, bounds, score.better, score.signature))
    made = {score.interval for score in scores} - {"none"}
    below = [_edits(score) for score in scores if "substitutions" in score.counts]
    below += [f"Intervals: {interval}" for interval in sorted(made)]
    return "\n".join([*_aligned(rows, right=(1,)), *below])


def _edits(score: Score) -> str:
    """What an error rate was counted from."""
    counts = score.counts
    length, unit = next((count, name) for name, count in counts.items() if name.startswith("reference_"))
    return (
        f"{TITLES[score.name]}: {counts['substitutions']:,} substitutions, {counts['deletions']:,} deletions and "
        f"{counts['insertions']:,} insertions in {length:,} {unit.removeprefix('reference_')}"
    )


def render_paired(tests: Sequence[Paired]) -> str:
    """Paired tests as a table of plain text. The difference is a - b."""
    rows = [("score", "a", "b", "a - b", "95 % interval", "p", "better", "signature")]
    for test in tests:
        bounds = f"{test.low:+.2f} to {test.high:+.2f}"
        values = f"{test.value_a:.2f}", f"{test.value_b:.2f}", f"{test.difference:+.2f}"
        rows.append((TITLES[test.name], *values, bounds, f"{test.p_value:.3f}", test.better, test.signature))
    made = sorted({test.interval for test in tests})
    return "\n".join([*_aligned(rows, right=(1, 2, 3)), *(f"Intervals and p: {interval}" for interval in made)])


def as_dict(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """name -> value, low, high, signature and the rest, made of what JSON knows."""
    fields = [{**dataclasses.asdict(score), "counts": dict(score.counts)} for score in scores]
    return {field.pop("name"): field for field in fields}


def worst(
    outputs: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    sources: Sequence[str],
    count: int,
) -> list[Example]:
    """The `count` segments with the largest error, worst first. Of several references the nearest counts."""
    if not len(outputs) == len(references) == len(sources):
        raise UserError(
            f"Found {len(outputs)} outputs, {len(references)} references and {len(sources)} sources: "
            "expected one of each for every segment. Is a line missing in one of them?"
        )
    examples = []
    for number, (output, entry, source) in enumerate(zip(outputs, references, sources, strict=True), start=1):
        several = [entry] if isinstance(entry, str) else entry
        candidates = [_example(number, source, reference, output) for reference in several]
        examples.append(min(candidates, key=lambda example: example.error))
    examples.sort(key=lambda example: (-example.error, -example.edits, example.number))
    return [example for example in examples if example.edits][:count]


def _example(number: int, source: str, reference: str, output: str) -> Example:
    found = edits(output, reference, unit="character")
    longer = max(found.reference, found.reference + found.insertions - found.deletions)
    return Example(number, source, reference, output, found.total, found.total / max(longer, 1))


def _aligned(rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
