"""`seqsmith demo`: the whole road in three minutes, on dates that the project writes itself.

What needs torch is imported when the data is written: by then a line has been said.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqsmith import config
from seqsmith.cli.program import command
from seqsmith.cli.write import replacing
from seqsmith.demo.dates import write_demo
from seqsmith.errors import UserError

if TYPE_CHECKING:
    from seqsmith.predictor import Predictor

_SHOWN = 10
_ENOUGH = {"train": {"updates": 2_000}}  # dates are easy: a third of what the recipe gives so many short texts


def demo(folder: Path | None, *, pairs: int, settings: dict[str, Any]) -> int:
    """Write data, train with no settings but a length and the given ones, score on dates held out, show answers and a
    picture."""
    folder = new_folder(folder, "demo")
    train_file, test_file = write_demo(folder / "data", pairs=pairs)
    print(f"Wrote {train_file} and {test_file}: dates as people write them, and in ISO 8601.", flush=True)
    from seqsmith.cli.train import train
    from seqsmith.predictor import Predictor

    given = config.merge({} if _says_how_long(settings) else _ENOUGH, settings)
    table = config.merge(given, {"data": {"train": [{"path": str(train_file)}]}})
    code = train(table, folder / "run", resume=False)
    if code:
        return code
    model = folder / "run" / "model"
    predictor = Predictor.open(model, engine="torch")
    answers = answer_test(predictor, test_file, called="dates that the model has never seen")
    for source, target, output in answers[:_SHOWN]:
        print(f"  {output}  {'right' if output == target else f'wrong, it is {target}'}  {source}")
    source, _, output = answers[0]
    _draw(predictor, source, output, folder / "attention.svg")
    go_on(
        f"echo '3. Oktober 1990' | {command('predict', model, '--nbest', '3')}",
        command("evaluate", model, test_file, "--worst", "5"),
        command("inspect", train_file),
        command("train", "YOUR_PAIRS.tsv", "--out", "my-run"),
    )
    return 0


def new_folder(given: Path | None, name: str) -> Path:
    """The folder that is asked for, else `demo`, or `demo-2` and so on. Raises UserError: nothing is written over."""
    if given is None:
        names = (Path(f"{name}-{number}" if number > 1 else name) for number in count(1))
        return next(folder for folder in names if not folder.exists())
    if given.exists():
        raise UserError(f"{given}: exists already. Remove it, or choose another --out.")
    return given


def answer_test(predictor: Predictor, test_file: Path, *, called: str) -> list[tuple[str, str, str]]:
    """Answer the examples held out and print how good the answers are -> source, target and output of each."""
    from seqsmith.cli.evaluate import read_pairs
    from seqsmith.evaluate.answers import score_answers
    from seqsmith.evaluate.report import render

    texts = read_pairs(config.Corpus(path=str(test_file)), predictor.settings, {}).texts
    sources, targets = texts["source"], texts["target"]
    outputs = [prediction.text for prediction in predictor.predict(sources)]
    print(f"\nOn {len(outputs):,} {called}:")
    print(render(score_answers(predictor.settings, outputs, targets, ("exact_match", "cer"), resamples=1000)))
    print()
    return list(zip(sources, targets, outputs, strict=True))


def _says_how_long(settings: dict[str, Any]) -> bool:
    section = settings.get("train")
    return isinstance(section, dict) and not section.keys().isdisjoint(("updates", "epochs"))


def go_on(*commands: str) -> None:
    """Say what to type next."""
    print("\nGo on with:", *commands, sep="\n  ")


def _draw(predictor: Predictor, source: str, output: str, picture: Path) -> None:
    from seqsmith.evaluate.heatmap import heatmap

    try:
        found = predictor.attention(source, output)
    except UserError as error:  # whoever tries the classic model has chosen to have none
        print(f"\nNo picture is drawn: {error}")
        return
    with replacing(picture) as file:
        file.write(heatmap(found.weight_TS, found.source, found.target, title=f"{source} → {output}"))
    print(f"\nWhere the decoder looked while it wrote the first of them: {picture}")
