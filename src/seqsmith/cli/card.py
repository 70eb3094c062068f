"""The model card: README.md of a model folder, written for whoever finds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqsmith import __version__, config, runtime
from seqsmith.bundle import Bundle
from seqsmith.evaluate.report import render
from seqsmith.evaluate.scores import Score


def model_card(
    bundle: Bundle, *, scores: Sequence[Score], pairs: int, dev_pairs: int, minutes: float, name: str
) -> str:
    """What the model is, what it was trained on, how good it is and how to use it."""
    settings = bundle.settings
    data = "\n".join(f"- {_corpus(corpus)}" for corpus in settings.data.train)
    return f"""# {name}

A sequence-to-sequence model trained with seqsmith {__version__}: {describe(settings.model)},
{runtime.parameter_count(bundle.model):,} parameters, {pairs:,} training pairs, {minutes:.1f} minutes.

## Data
{data}

## Scores
On {dev_pairs:,} dev pairs, by which the checkpoint was chosen too, so a test set of its own will score a little lower.

```
{render(scores)}
```

## Use
```
seqsmith predict {name} < input.txt
```
```python
import seqsmith

model = seqsmith.load("{name}")
print(model.predict(["..."])[0].text)
```
`config.toml` holds every setting, `MANIFEST.json` the size and SHA-256 of every file.
"""


def _corpus(corpus: config.Corpus) -> str:
    files = [corpus.path] + ([corpus.target] if corpus.target else [])
    return " and ".join(Path(file).name for file in files)


def describe(model: config.Model) -> str:
    """A model in a line: `Transformer 4 x 128 to LSTM 1 x 512 with general attention`."""
    encoder, decoder = (_side(side) for side in (model.encoder, model.decoder))
    return f"{encoder} encoder, {decoder} decoder"


def _side(side: config.RecurrentEncoder | config.RecurrentDecoder | config.Transformer | None) -> str:
    match side:
        case config.Transformer():
            return f"Transformer {side.layers}x{side.width}"
        case config.RecurrentEncoder():
            direction = "bidirectional " if side.bidirectional else ""
            return f"{direction}{side.kind.upper()} {side.layers}x{side.width}"
        case config.RecurrentDecoder():
            attention = "no" if side.attention == "none" else side.attention
            return f"{side.kind.upper()} {side.layers}x{side.width} with {attention} attention"
    raise AssertionError("the model is resolved before it is described")
