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
    data: Annotated[
        str | None, typer.Argument(help="A file of pairs (TSV, CSV, JSONL, Parquet; - reads stdin), or the sources.")
    ] = None,
    target: Annotated[
        str | None, typer.Argument(help="The targets, line by line, where DATA holds the sources.")
    ] = None,
    dev: Annotated[
        list[str] | None, typer.Option(help="Dev pairs; give it twice for a source and a target file.")
    ] = None,
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
    files = {"train": _corpora(data, target), "dev": _corpora(*_two("--dev", dev))}
    table = config.merge(table, {"data": {key: value for key, value in files.items() if value}})
    if not table.get("data", {}).get("train"):
        raise UserError("no training data: name a file of pairs, or a source and a target file.")
    raise typer.Exit(run_training(table, out, resume=False, quiet=quiet))


def _corpora(path: str | None, target: str | None) -> list[dict[str, str]]:
    if path is None:
        return []
    return [{"path": path, "target": target} if target else {"path": path}]


def _two(option: str, files: list[str] | None) -> tuple[str | None, str | None]:
    if files is not None and len(files) > 2:
        raise UserError(
            f"{option}: expected one file of pairs, or a source and a target file, found {len(files)} files."
        )
    first, second = [*(files or []), None, None][:2]
    return first, second


Models = Annotated[list[Path], typer.Option("--with", help="Further models of the same vocabularies: an ensemble.")]
Beam = Annotated[int | None, typer.Option(min=1, help="Beam width; 1 is greedy.")]


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A file of sources; - reads standard input.")] = "-",
    out: Annotated[Path | None, typer.Option(help="Write answers here.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="text, tsv or jsonl.")] = None,
    beam: Beam = None,
    nbest: Annotated[int | None, typer.Option(min=1, help="Answers a source.")] = None,
    attention: Annotated[Path | None, typer.Option(help="Draw the attention of the first answer as SVG.")] = None,
    also: Models = [],  # noqa: B006  # typer copies it
    set_: Set = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all cores if not given.")] = None,
) -> None:
    """Answer each line of the input with a line of output."""
    from seqsmith.cli.predict import predict as run

    if form not in (None, "text", "tsv", "jsonl"):
        raise UserError(f"--format: found {form!r}, expected text, tsv or jsonl.")
    search, data = _search_and_data(set_, {"beam": beam, "nbest": nbest})
    run([model, *also], source, output=out, form=form, search=search, data=data, attention=attention, threads=threads)  # type: ignore[arg-type]


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[str, typer.Argument(help="A file of pairs, or the sources.")],
    target: Annotated[str | None, typer.Argument(help="The targets, where DATA holds the sources.")] = None,
    against: Annotated[list[Path], typer.Option(help="Another model, for a paired test.")] = [],  # noqa: B006
    score: Annotated[list[str], typer.Option(help="A score by name; repeatable. Usual ones if not given.")] = [],  # noqa: B006
    report: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    worst: Annotated[int, typer.Option(min=0, help="Show so many of the worst answers.")] = 0,
    beam: Beam = None,
    also: Models = [],  # noqa: B006
    set_: Set = None,
) -> None:
    """Score a model on pairs, with intervals and signatures."""
    from seqsmith import config
    from seqsmith.cli.evaluate import evaluate as run

    search, reading = _search_and_data(set_, {"beam": beam})
    corpus = config.Corpus(path=data, target=target)
    run(
        [model, *also],
        corpus,
        against=against,
        names=score,
        search=search,
        data=reading,
        report=report,
        show_worst=worst,
    )


@app.command()
def score(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[str, typer.Argument(help="A file of pairs, or the sources.")],
    target: Annotated[str | None, typer.Argument(help="The targets, where DATA holds the sources.")] = None,
    also: Models = [],  # noqa: B006
    set_: Set = None,
) -> None:
    """Print the log-probability of each given pair, in nats."""
    from seqsmith import config
    from seqsmith.cli.evaluate import score as run

    run([model, *also], config.Corpus(path=data, target=target), data=_search_and_data(set_, {})[1])


@app.command()
def inspect(
    path: Annotated[
        str, typer.Argument(metavar="DATA|MODEL|RUN", help="A file of pairs, the sources, a model or a run.")
    ],
    target: Annotated[str | None, typer.Argument(help="The targets, where DATA holds the sources.")] = None,
    dev: Annotated[list[str] | None, typer.Option(help="Dev pairs, to look for overlap; twice for two files.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Test pairs, likewise.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    set_: Set = None,
) -> None:
    """Say what is in data, a model or a run, and what is wrong with it."""
    from seqsmith import config
    from seqsmith.cli.inspect import inspect as run

    dev_corpus, test_corpus = (
        None if first is None else config.Corpus(path=first, target=second)
        for first, second in (_two("--dev", dev), _two("--test", test))
    )
    run(path, target, dev=dev_corpus, test=test_corpus, data=_search_and_data(set_, {})[1], as_json=json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where data, run and picture go.")] = Path("demo"),
    pairs: Annotated[int, typer.Option(min=30, help="How many dates.")] = 30_000,
) -> None:
    """Train on dates in eleven languages, score, and show what the model does."""
    from seqsmith.cli.demo import demo as run

    raise typer.Exit(run(out, pairs=pairs))


def _search_and_data(assignments: list[str] | None, search: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that hold while a model is used: those of [search] and of [data]."""
    from seqsmith import config

    table = config.override({}, assignments or [])
    for section in table.keys() - {"search", "data"}:
        raise UserError(f"--set {section}...: here only settings of search and data can be changed.")
    given = {key: value for key, value in search.items() if value is not None}
    return {**table.get("search", {}), **given}, table.get("data", {})


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
