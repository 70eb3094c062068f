"""The model card: README.md of a model folder, written for whoever finds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from seqsmith import __version__, config, runtime
from seqsmith.bundle import Bundle
from seqsmith.evaluate.forecast import render_forecasts
from seqsmith.evaluate.report import render
from seqsmith.evaluate.scores import Score
from seqsmith.featurise_series import SeriesFeaturiser

_SAMPLE = """
`selfcheck.jsonl` holds dev pairs in clear text, and answers to them, on which faster engines are checked. Where they
are private, delete it, with its entry in `MANIFEST.json`, before others get this folder: torch answers without it.
"""


def model_card(
    bundle: Bundle,
    *,
    scores: Sequence[Score],
    pairs: int,
    dev_pairs: int,
    minutes: float,
    name: str,
    sample: bool = False,
    shortlist: bool = False,
) -> str:
    """What the model is, what it was trained on, how good it is and how to use it."""
    settings = bundle.settings
    data = "\n".join(f"- {_corpus(corpus)}" for corpus in settings.data.train)
    takes_features = bundle.featuriser.takes_features
    lines = "lines of a source, a tab and its features" if takes_features else "lines"
    features = ', features=["..."]' if takes_features else ""
    hears = bundle.featuriser.channels is not None
    listed = ", `shortlist.safetensors` the likely target\nids of each source id," if shortlist else ""
    shown = _SAMPLE if sample else ""
    use = f"{name} *.wav  # a line for each recording" if hears else f"{name} < input.txt  # {lines} in, lines out"
    return f"""# {name}

A sequence-to-sequence model trained with seqsmith {__version__} on {pairs:,} pairs in {duration(minutes)}:
{describe(settings.model)}, {runtime.parameter_count(bundle.model):,} parameters.

## Data
{data}

## Scores
On {dev_pairs:,} dev pairs, by which the checkpoint was chosen too, so a test set of its own will score a little lower.

```
{render(scores)}
```

## Use
```sh
seqsmith predict {use}
```
```python
import seqsmith

model = seqsmith.load("{name}")
print(model.predict(["..."]{features})[0].text)
```
`config.toml` holds every setting{listed} and `MANIFEST.json` the size and SHA-256 of every file.
{shown}"""


def series_card(
    settings: config.Settings,
    featuriser: SeriesFeaturiser,
    *,
    parameters: int,
    windows: int,
    rows: Sequence[tuple[str, dict[str, float]]],
    minutes: float,
    name: str,
) -> str:
    """The same of a model of series."""
    f = featuriser
    step = "" if f.clock is None else f", in steps of {f.clock}"
    return f"""# {name}

A model of series trained with seqsmith {__version__} on {windows:,} windows in {duration(minutes)}:
{describe(settings.model)}, {parameters:,} parameters.

## Data
- {"".join(_corpus(corpus) for corpus in settings.data.train)}{step}
- forecasts {f.horizon:,} steps of {", ".join(f.columns[: f.targets])} from {f.context:,} steps

## Scores
On the dev part, by which the checkpoint was chosen too, so a test part of its own will score a little lower. MSE, MAE
and CRPS are in standard deviations of the training part.

```
{render_forecasts(rows)}
```

## Use
```sh
seqsmith predict {name} history.csv --horizon {f.horizon}
```
```python
import seqsmith

model = seqsmith.load("{name}")
print(model.predict("history.csv", horizon={f.horizon})[0].mean_TC)
```
`config.toml` holds every setting, `MANIFEST.json` the size and SHA-256 of every file.
"""


def vectors_card(
    settings: config.Settings, *, rows: Sequence[tuple[str, dict[str, float]]], pairs: int, minutes: float, name: str
) -> str:
    """The same of a model of vector sequences."""
    return f"""# {name}

A model of vector sequences trained with seqsmith {__version__} on {pairs:,} pairs in {duration(minutes)}:
{describe(settings.model)}.

## Data
- {"".join(_corpus(corpus) for corpus in settings.data.train)}

## Scores
On the dev pairs, by which the checkpoint was chosen too; MSE and MAE in standard deviations of the training targets.

```
{render_forecasts(rows)}
```

## Use
```sh
seqsmith predict {name} x.npz --out y.npz  # source/NAME in, target/NAME out
```
`config.toml` holds every setting, `MANIFEST.json` the size and SHA-256 of every file.
"""


def _corpus(corpus: config.Corpus) -> str:
    files = [corpus.path] + ([corpus.target] if corpus.target else [])
    return " and ".join(Path(file).name for file in files)


def duration(minutes: float) -> str:
    """A time as people say it."""
    if minutes < 1:
        return f"{minutes * 60:.{0 if minutes * 60 >= 10 else 1}f} seconds"
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def describe(model: config.Model) -> str:
    """A model in a line: `Transformer 4x128 encoder, LSTM 1x512 decoder with general attention`."""
    return f"{_side(model.encoder, 'encoder')}, {_side(model.decoder, 'decoder')}"


def _side(side: config.Encoder | config.Decoder | None, name: str) -> str:
    assert side is not None, "the model is resolved before it is described"
    shape = f"{side.layers}x{side.width} {name}"
    match side:
        case config.Transformer():
            return f"Transformer {shape}"
        case config.Conformer():
            return f"Conformer {shape}"
        case config.RecurrentEncoder():
            return f"{'bidirectional ' if side.bidirectional else ''}{side.kind.upper()} {shape}"
        case config.RecurrentDecoder():
            attention = "no" if side.attention == "none" else side.attention
            return f"{side.kind.upper()} {shape} with {attention} attention"
        case _:
            assert_never(side)
