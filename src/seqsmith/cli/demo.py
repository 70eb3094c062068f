"""`seqsmith demo`: the whole road in three minutes, on dates that the project writes itself."""

from __future__ import annotations

from pathlib import Path

from seqsmith import config
from seqsmith.cli.evaluate import read_pairs
from seqsmith.cli.train import train
from seqsmith.cli.validate import score_answers
from seqsmith.demo.dates import write_demo
from seqsmith.errors import UserError
from seqsmith.evaluate.heatmap import heatmap
from seqsmith.evaluate.report import render
from seqsmith.predictor import Predictor

_SHOWN = 10


def demo(folder: Path, *, pairs: int) -> int:
    """Write data, train with no setting at all, score on dates held out, show answers and a picture."""
    if folder.exists():
        raise UserError(f"{folder}: exists already. Remove it, or choose another --out.")
    train_file, test_file = write_demo(folder / "data", pairs=pairs)
    print(f"Wrote {train_file} and {test_file}: dates as people write them, and in ISO 8601.")
    code = train({"data": {"train": [{"path": str(train_file)}]}}, folder / "run", resume=False)
    if code:
        return code
    model = folder / "run" / "model"
    predictor = Predictor.open(model)
    texts = read_pairs(config.Corpus(path=str(test_file)), predictor.settings, {}).texts
    predictions = predictor.predict(texts["source"])
    outputs = [prediction.text for prediction in predictions]
    print(f"\nOn {len(outputs):,} dates that the model has never seen:")
    print(render(score_answers(predictor.settings, outputs, texts["target"], ("exact_match", "cer"), resamples=1000)))
    print()
    for source, target, output in list(zip(texts["source"], texts["target"], outputs, strict=True))[:_SHOWN]:
        print(f"  {output}  {'right' if output == target else f'wrong, it is {target}'}  {source}")
    found = predictor.attention(texts["source"][0], outputs[0])
    picture = folder / "attention.svg"
    picture.write_text(
        heatmap(found.weight_TS, found.source, found.target, title=f"{texts['source'][0]} → {outputs[0]}"),
        encoding="utf-8",
    )
    print(f"\nWhere the decoder looked while it wrote the first of them: {picture}")
    print(
        "\nGo on with:\n"
        f"  echo '3. Oktober 1990' | seqsmith predict {model} --nbest 3\n"
        f"  seqsmith evaluate {model} {test_file} --worst 5\n"
        f"  seqsmith inspect {train_file}\n"
        "  seqsmith train YOUR_PAIRS.tsv --out my-run"
    )
    return 0
