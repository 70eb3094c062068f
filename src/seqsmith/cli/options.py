"""Arguments and options that several verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

PAIRS = "A file of pairs (.tsv, .csv, .jsonl, .parquet, also .gz; - reads standard input), or the sources."
_TARGETS = "The targets, line by line, where DATA holds the sources."
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.", show_default=False)]
Pairs = Annotated[str, typer.Argument(metavar="DATA", help=PAIRS, show_default=False)]
Target = Annotated[str | None, typer.Argument(metavar="TARGET", help=_TARGETS, show_default=False)]
Models = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="MODEL", help="A further model of the same data: an ensemble. Repeatable."),
]
Beam = Annotated[int | None, typer.Option(metavar="WIDTH", min=1, help="Width of the beam; 1 is greedy.")]
_SCORES = "bleu, chrf, ter, exact_match, ser, wer, cer, per, rouge_1, rouge_2 or rouge_l. Repeatable."
Scores = Annotated[list[str] | None, typer.Option(metavar="NAME", help=_SCORES)]
Engine = Annotated[
    Literal["auto", "torch", "torch-bf16", "ctranslate2", "onnx"],
    typer.Option(metavar="NAME", help="Who answers: auto (the fastest that answers as torch does), torch, ..."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, as search.longest=50. Repeatable."),
]
SetTrain = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, as train.epochs=20. Repeatable."),
]
SetData = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, as data.source=en. Repeatable."),
]
