"""The command `seqsmith`: its verbs and their options. Heavy imports wait until a verb runs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from seqsmith.errors import Diverged, UserError

app = typer.Typer(
    help="Forge a sequence-to-sequence model from a file of pairs, and use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, such as train.epochs=20. Repeatable.")
]


@app.callback()
def _root() -> None:
    """Forge a sequence-to-sequence model from a file of pairs, and use it."""


@app.command()
def train(
    data: Annotated[str | None, typer.Argument(help="A file of pairs (TSV, CSV, JSONL, Parquet; - reads stdin), or the sources.")] = None,
    target: Annotated[str | None, typer.Argument(help="The targets, line by line, where DATA holds the sources.")] = None,
    dev: Annotated[list[str] | None, typer.Option(help="Dev pairs; give it twice for a source and a target file.")] = None,
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("run"),
    config_file: Annotated[Path | None, typer.Option("--config", help="Settings in TOML.")] = None,
    set_: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show nothing but errors.")] = False,
) -> None:
    """Train a model. What no setting says is chosen from the data."""
    from seqsmith import config
    from seqsmith.cli.train import train as run_training

    if resume:
        if data or dev or config_file or set_:
            raise UserError("--resume goes on with the settings of the run in --out: give nothing else with it.")
        raise typer.Exit(run_training(config.read_table(out / "config.toml"), out, resume=True, quiet=quiet))
    table = config.override(config.read_table(config_file) if config_file else {}, set_ or [])
    files = {"train": _corpora(data, target), "dev": _corpora(*_two(dev))}
    table = config.merge(table, {"data": {key: value for key, value in files.items() if value}})
    if not table.get("data", {}).get("train"):
        raise UserError("no training data: name a file of pairs, or a source and a target file.")
    raise typer.Exit(run_training(table, out, resume=False, quiet=quiet))


def _corpora(path: str | None, target: str | None) -> list[dict[str, str]]:
    if path is None:
        return []
    return [{"path": path, "target": target} if target else {"path": path}]


def _two(dev: list[str] | None) -> tuple[str | None, str | None]:
    if dev is not None and len(dev) > 2:
        raise UserError(f"--dev: expected one file of pairs, or a source and a target file, found {len(dev)} files.")
    first, second = [*(dev or []), None, None][:2]
    return first, second


def main() -> None:
    """Run the command; a user's mistake is one line and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"seqsmith: {error}", file=sys.stderr)
        sys.exit(2)
    except Diverged as error:
        print(f"seqsmith: {error}", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
