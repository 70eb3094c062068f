"""`seqsmith demo --speech`: the whole road on touch-tone recordings that the project makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqsmith import config
from seqsmith.cli.demo import first_free
from seqsmith.cli.program import command
from seqsmith.demo.tones import write_tones
from seqsmith.errors import UserError

RECORDINGS = 1_500
_SHOWN = 8


def demo_speech(folder: Path | None, *, settings: dict[str, Any]) -> int:
    """Make recordings of dialled digits, train with no setting but the given ones, score on those held out."""
    if folder is None:
        folder = first_free("demo-speech")
    elif folder.exists():
        raise UserError(f"{folder}: exists already. Remove it, or choose another --out.")
    print(f"Making {RECORDINGS:,} recordings.", flush=True)
    train_file, test_file = write_tones(folder / "data", recordings=RECORDINGS)
    print(f"Wrote {train_file} and {test_file}: telephone keys as they sound, and the digits dialled.", flush=True)
    from seqsmith.cli.evaluate import read_pairs
    from seqsmith.cli.train import train
    from seqsmith.evaluate.answers import score_answers
    from seqsmith.evaluate.report import render
    from seqsmith.predictor import Predictor

    table = config.merge(settings, {"data": {"train": [{"path": str(train_file)}]}})
    code = train(table, folder / "run", resume=False)
    if code:
        return code
    model = folder / "run" / "model"
    predictor = Predictor.open(model, engine="torch")
    texts = read_pairs(config.Corpus(path=str(test_file)), predictor.settings, {}).texts
    outputs = [prediction.text for prediction in predictor.predict(texts["source"])]
    print(f"\nOn {len(outputs):,} recordings that the model has never heard:")
    print(render(score_answers(predictor.settings, outputs, texts["target"], ("exact_match", "cer"), resamples=1000)))
    print()
    for source, target, output in list(zip(texts["source"], texts["target"], outputs, strict=True))[:_SHOWN]:
        right = "right" if output == target else f"wrong, it is {target}"
        print(f"  {output:<8} {right}  {Path(source).name}")
    print(
        "\nGo on with:\n"
        f"  {command('predict', model, texts['source'][0], '--format', 'json')}\n"
        f"  {command('evaluate', model, test_file, '--worst', '5')}\n"
        f"  {command('inspect', train_file)}\n"
        f"  {command('train', 'YOUR_MANIFEST.tsv', '--out', 'my-run')}"
    )
    return 0
