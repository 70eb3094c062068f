"""The command `seqsmith`: its verbs and their options. Heavy imports wait until a verb runs."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqsmith import __version__
from seqsmith.cli.options import PAIRS, Beam, Engine, Model, Models, Pairs, Scores, Set, SetData, SetTrain, Target
from seqsmith.errors import Diverged, UserError, nearest

_SUMMARY = "Forge a sequence-to-sequence model from a file of pairs, and use it."

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,  # plain help: half the time to import, and it can be searched and piped
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"seqsmith {__version__}")
        raise typer.Exit


@app.callback(
    help=f"""{_SUMMARY}

    \b
    seqsmith train PAIRS.tsv --out run         a model of these pairs
    seqsmith predict run/model < INPUT.txt     its answers, line for line
    seqsmith evaluate run/model TEST.tsv       how good they are
    """,
    epilog="Exit codes: 0 done, 2 a mistake that the message says how to mend, 3 training diverged, 130 and 143 "
    "stopped by Ctrl-C and by SIGTERM, training after it has saved.",
)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


@app.command(
    short_help="Train a model.",
    epilog="`seqsmith settings` lists what can be set; config.toml of the run folder has the values that a run took.",
)
def train(
    data: Annotated[str | None, typer.Argument(metavar="DATA", help=PAIRS, show_default=False)] = None,
    target: Target = None,
    dev: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Dev pairs; twice for sources and targets. Some pairs are split off if left out."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="RUN", help="The run folder, which must not hold a run yet.")] = Path(
        "run"
    ),
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML; --set goes over them.")
    ] = None,
    set_: SetTrain = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show nothing but errors.")] = False,
) -> None:
    """Train a model on pairs of source and target. What no setting says is chosen from the data, and printed.

    \b
    seqsmith train PAIRS.tsv
    seqsmith train SOURCES.txt TARGETS.txt --dev DEV.txt --dev DEV_TARGETS.txt
    seqsmith train PAIRS.jsonl --set data.source=en --set data.target=de --set model.family=lstm
    seqsmith train --resume --out run
    """
    from seqsmith import config

    if resume:
        if data or dev or config_file or set_:
            raise UserError(
                "--resume: takes nothing else. To train longer, raise train.epochs or train.updates in "
                f"{out}/config.toml."
            )
        table: dict[str, Any] = {}
    else:
        table = config.override(config.read_table(config_file) if config_file else {}, set_ or [])
        if not isinstance(table.get("data", {}), dict):
            raise UserError(f"data: found {table['data']!r}, expected a table, for example data.source=1.")
        files = {"train": _corpora(data, target), "dev": _corpora(*_two("--dev", dev))}
        named = {name: corpora for name, corpora in files.items() if corpora}
        for name in named.keys() & table.get("data", {}).keys():
            raise UserError(
                f"data.{name}: set, while files are named on the command line as well. Take one of the two."
            )
        table = config.merge(table, {"data": named})
        if not table["data"].get("train"):
            raise UserError("no training data: name a file of pairs, or a source and a target file.")
    from seqsmith.cli.train import train as run_training

    with config.told_of(out / "config.toml" if resume else config_file, set_ or []):
        raise typer.Exit(run_training(table, out, resume=resume, quiet=quiet))


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


@app.command(short_help="Answer each line of the input with a line of output.")
def predict(
    model: Model,
    source: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT", help="Lines, a table, or recordings; - or none: standard input."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here, in the format of the suffix.", show_default=False)
    ] = None,
    form: Annotated[
        Literal["text", "tsv", "csv", "jsonl", "json", "srt", "vtt"] | None,
        typer.Option(
            "--format", metavar="FORMAT", help="text, tsv, csv, jsonl; of recordings text, tsv, jsonl, json, srt, vtt."
        ),
    ] = None,
    beam: Beam = None,
    nbest: Annotated[int | None, typer.Option(metavar="N", min=1, help="Answers to each source.")] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw answers from the model's distribution: N of them with --nbest.")
    ] = False,
    attention: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw where the decoder looked for the first answer, as SVG.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(metavar="STEPS", min=1, help="Of a model of series: how far to forecast.")
    ] = None,
    also: Models = None,
    set_: Set = None,
    engine: Engine = "auto",
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1024, help="Threads; OMP_NUM_THREADS or all cores if left out."),
    ] = None,
) -> None:
    """Answer each line of the input with a line of output, in order; an empty line with an empty one.

    A model of pairs with features takes a source, a tab and its features. With --nbest, the lines of text are the
    number of the source, the score and the answer. On stderr stands what was cut.

    \b
    echo 'Two men are talking.' | seqsmith predict run/model
    seqsmith predict run/model INPUT.txt --out ANSWERS.tsv --nbest 5
    seqsmith predict run/model *.wav --format json
    seqsmith predict run/model HISTORY.csv --horizon 96 --out FUTURE.csv
    """
    from seqsmith.cli.answering import answer

    sections = _sections(set_, "search", "data", "series")
    sections["search"] |= _given(beam=beam, nbest=nbest, sample=sample or None)
    answer(
        [model, *(also or [])],
        source or [],
        output=out,
        form=form,
        sections=sections,
        attention=attention,
        horizon=horizon,
        engine=engine,
        threads=threads,
    )


@app.command(short_help="Score the answers to given pairs.")
def evaluate(
    model: Model,
    data: Pairs,
    target: Target = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="MODEL", help="Another model, for a paired test. Repeatable: an ensemble."),
    ] = None,
    score: Scores = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything as JSON.")] = None,
    worst: Annotated[int, typer.Option(metavar="N", min=0, help="Show so many of the worst answers.")] = 0,
    part: Annotated[
        Literal["train", "dev", "test", "all"],
        typer.Option(metavar="PART", help="Of a table of series: train, dev, test (as the model was trained) or all."),
    ] = "all",
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the worst and median forecasts, as SVG or PNG.")
    ] = None,
    beam: Beam = None,
    engine: Engine = "torch",
    also: Models = None,
    set_: Set = None,
) -> None:
    """Answer the sources and score the answers against the targets, with intervals and signatures.

    \b
    seqsmith evaluate run/model TEST.tsv --worst 10
    seqsmith evaluate run/model SOURCES.txt TARGETS.txt --against other/model --score bleu --report REPORT.json
    """
    from seqsmith.cli.answering import evaluate as run

    sections = _sections(set_, "search", "data", "series")
    sections["search"] |= _given(beam=beam)
    run(
        [model, *(also or [])],
        data,
        target,
        against=against or [],
        names=score or [],
        report=report,
        show_worst=worst,
        part=part,
        plot=plot,
        engine=engine,
        sections=sections,
    )


@app.command(short_help="Print how likely given pairs are.")
def score(model: Model, data: Pairs, target: Target = None, also: Models = None, set_: SetData = None) -> None:
    """Print the log-probability of each target given its source, in nats, a line each; of numbers, the mean log of
    their density in each window of a table, or in each pair of vector sequences."""
    from seqsmith.cli.answering import score as run

    run([model, *(also or [])], data, target, sections=_sections(set_, "data", "series"))


@app.command(short_help="Say what is in data, a model or a run, and what is wrong with it.")
def inspect(
    path: Annotated[
        str, typer.Argument(metavar="DATA|MODEL|RUN", help="Pairs as for train, a model folder or a run folder.")
    ],
    target: Target = None,
    dev: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Dev pairs, to look for overlap; twice for two files.")
    ] = None,
    test: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Test pairs, likewise.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    set_: SetData = None,
) -> None:
    """Say what is in data, a model or a run, and what is wrong with it.

    \b
    seqsmith inspect TRAIN.tsv --dev DEV.tsv --test TEST.tsv
    seqsmith inspect run
    """
    from seqsmith import config
    from seqsmith.cli.inspect import inspect as run

    dev_corpus, test_corpus = (
        None if first is None else config.Corpus(path=first, target=second)
        for first, second in (_two("--dev", dev), _two("--test", test))
    )
    sections = _sections(set_, "data", "series")
    run(path, target, dev=dev_corpus, test=test_corpus, sections=sections, as_json=json)


@app.command(short_help="List the settings.")
def settings(
    word: Annotated[
        str | None, typer.Argument(metavar="WORD", help="Those that have it in their name or meaning; all if left out.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/settings.md.")] = False,
) -> None:
    """List the settings: what each may be, what it is when left out, and what it means.

    \b
    seqsmith settings dropout
    seqsmith settings train.
    """
    from seqsmith.config import manual

    if markdown:
        print(manual.markdown(), end="")
        return
    found = [entry for entry in map(str, manual.entries()) if word is None or word.lower() in entry.lower()]
    if not found:
        raise UserError(f"{word}: no setting has this in its name or meaning. `seqsmith settings` lists all.")
    print("\n".join(found))


@app.command(short_help="Show it all on dates in eleven languages, in three minutes.")
def demo(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where data, run and picture go; demo, demo-2, ... if left out."),
    ] = None,
    pairs: Annotated[int | None, typer.Option(metavar="N", min=30, help="Dates to write; 30,000 if left out.")] = None,
    speech: Annotated[bool, typer.Option("--speech", help="Show it on touch-tone recordings instead.")] = False,
    series: Annotated[bool, typer.Option("--series", help="Show it on measurements of three shops instead.")] = False,
    set_: SetTrain = None,
) -> None:
    """Write dates in eleven languages, train on them with no setting at all, score, and show what the model does."""
    from seqsmith import config
    from seqsmith.cli.demo import demo as run
    from seqsmith.cli.demo_series import demo_series
    from seqsmith.cli.demo_speech import demo_speech

    if (pairs is not None) + speech + series > 1:
        raise UserError("demo: --pairs, --speech and --series are of three demos. Take one of them.")
    given = config.override({}, set_ or [])
    kind = "speech" if speech else "series" if series else "text"
    config.draft(config.merge({"source": {"kind": kind}}, given), where="settings")  # before anything is written
    if speech:
        raise typer.Exit(demo_speech(out, settings=given))
    if series:
        raise typer.Exit(demo_series(out, settings=given))
    raise typer.Exit(run(out, pairs=pairs or 30_000, settings=given))


def _sections(assignments: list[str] | None, *names: str) -> dict[str, dict[str, Any]]:
    """The settings of the sections that hold while a model is used."""
    from seqsmith import config

    sections: dict[str, dict[str, Any]] = {name: {} for name in names}
    for section, values in config.override({}, assignments or []).items():
        if section not in sections:
            raise UserError(f"--set {section}: only settings of {', '.join(names)} hold here.{nearest(section, names)}")
        if not isinstance(values, dict):
            raise UserError(f"--set {section}: found {values!r}, expected {section}.NAME=VALUE.")
        sections[section] = values
    return sections


def _given(**options: int | None) -> dict[str, int]:
    return {name: value for name, value in options.items() if value is not None}


def main() -> None:
    """Run the command that was typed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # answers are UTF-8, whatever the locale says
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    code = run(sys.argv[1:])
    from seqsmith import runtime

    runtime.leave(code)


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; what went wrong is one line on stderr."""
    try:
        code: int | None = app(arguments or ["--help"], prog_name="seqsmith", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        message = error.format_message().rstrip(".").replace("Value error, ", "")
        if message.startswith("Got unexpected extra argument") and {"--dev", "--test"} & set(arguments):
            message += ". --dev and --test take one file: for two, write --dev SOURCES --dev TARGETS"
        return _failed(f"{message}{'' if message.endswith('?') else '.'} See --help.", 2)
    except UserError as error:
        return _failed(str(error), 2)
    except Diverged as error:
        return _failed(str(error), 3)
    except FloatingPointError as error:  # while answering
        return _failed(f"{error}. Is what it was given as absurd? Else train it again, at a lower rate.", 3)
    except MemoryError as error:
        return _failed(f"not enough memory{f': {error}' if str(error) else ''}. Give less at once.", 2)
    except RuntimeError as error:
        if "allocate memory" not in str(error) and "out of memory" not in str(error):  # torch has no MemoryError
            raise
        return _failed("not enough memory. Take a smaller model (model.*) or smaller batches, or give less at once.", 2)
    except (BrokenPipeError, SystemExit):  # typer makes the second of the first
        _drop_output()
        return 0  # whoever read our answers has enough of them, as `head` has
    except OSError as error:
        if error.filename is None:
            _drop_output()
        return _failed(f"{error.filename or 'writing failed'}: {error.strerror or error}.", 2)
    return code or 0


def _drop_output() -> None:
    """What could not be written must not be tried again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(message: str, code: int) -> int:
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)
    print(f"seqsmith: {shown}", file=sys.stderr)
    return code
