"""`seqsmith demo --speech`: the whole road on touch-tone recordings that the project makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqsmith import config
from seqsmith.cli.demo import answer_test, go_on, new_folder
from seqsmith.cli.program import command
from seqsmith.demo.tones import write_tones

RECORDINGS = 1_500
_SHOWN = 8


def demo_speech(folder: Path | None, *, settings: dict[str, Any]) -> int:
    """Make recordings of dialled digits, train with no setting but the given ones, score on those held out."""
    folder = new_folder(folder, "demo-speech")
    print(f"Making {RECORDINGS:,} recordings.", flush=True)
    train_file, test_file = write_tones(folder / "data", recordings=RECORDINGS)
    print(f"Wrote {train_file} and {test_file}: telephone keys as they sound, and the digits dialled.", flush=True)
    from seqsmith.cli.train import train
    from seqsmith.predictor import Predictor

    table = config.merge(settings, {"data": {"train": [{"path": str(train_file)}]}})
    code = train(table, folder / "run", resume=False)
    if code:
        return code
    model = folder / "run" / "model"
    predictor = Predictor.open(model, engine="torch")
    answers = answer_test(predictor, test_file, called="recordings that the model has never heard")
    for source, target, output in answers[:_SHOWN]:
        right = "right" if output == target else f"wrong, it is {target}"
        print(f"  {output:<8} {right}  {Path(source).name}")
    go_on(
        command("predict", model, answers[0][0], "--format", "json"),
        command("evaluate", model, test_file, "--worst", "5"),
        command("inspect", train_file),
        command("train", "YOUR_MANIFEST.tsv", "--out", "my-run"),
    )
    return 0
