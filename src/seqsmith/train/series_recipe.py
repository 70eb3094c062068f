"""What the user leaves out of the settings of a series, chosen from the table; each rule with its reason.

The numbers come from the experiments in `docs/experiments.md`, on dev data. No rule knows a data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqsmith.train.recipe import Recipe, spelt_out

_LONGEST_PATCH = 128
_FEWEST_FED = 4  # steps of an autoregressive model: one alone would be fed nothing
_SEASONS = 14  # of context: two weeks of days
_CONTEXT = 336  # steps at most where seasons are long, and the context where there are none
_EPOCHS = 2  # neighbouring windows are nearly the same, so that few passes are enough
_FEWEST_UPDATES, _MOST_UPDATES = 400, 3_000


@dataclass(frozen=True)
class SeriesFacts:
    """What the rules know of a table."""

    steps: int  # of the training part of the longest series
    dev_steps: int  # likewise
    numbers: int  # in all training parts
    columns: int
    season: int
    season_reason: str
    scales_differ: bool  # between series


def choose_series(facts: SeriesFacts, table: Mapping[str, Any]) -> Recipe:
    """All choices for a model of series."""
    recipe = Recipe(spelt_out(table))
    season = recipe.take("series.season", facts.season, facts.season_reason)
    _decoding(recipe, "horizon")
    _windows(recipe, facts, season)
    if facts.scales_differ:
        recipe.take("series.scaling", "group", "some series vary far less than others: each has its own scale")
    else:
        recipe.take("series.scaling", "standard", "by mean and deviation of the training part")
    recipe.take("series.window_scaling", "last", "what matters is the change from the last number")
    recipe.take("series.channels", "independent", "all columns share one model of a single column")
    _model(recipe, width=192)
    if _recurrent(recipe):
        _loss(recipe, "huber", "nearly the mean is forecast, and what is far off counts less")
    else:
        _loss(recipe, "mse", "the mean is forecast")
    _training(recipe, facts)
    return recipe


def choose_vectors(steps: int, *, pairs: int, table: Mapping[str, Any]) -> Recipe:
    """All choices for pairs of vector sequences with so many target steps."""
    recipe = Recipe(spelt_out(table))
    recipe.take("series.patch", 1, "each vector is a step of the model")
    _decoding(recipe, "target")
    _loss(recipe, "mse", "the mean is said")
    _model(recipe, width=96)
    accumulate = recipe.said("train.accumulate") or 1
    batch = recipe.take("train.batch_tokens", max(1, 4_096 // accumulate), "usual")
    each = max(1, steps // batch // accumulate)
    if recipe.said("train.epochs") is None:
        why = f"20 epochs over {pairs:,} pairs, but at least 600 and at most 5,000"
        updates = recipe.take("train.updates", max(600, min(5_000, 20 * each)), why)
    else:
        updates = recipe.said("train.epochs") * each
    _schedule(recipe, updates, rate=0.001)
    return recipe


def _decoding(recipe: Recipe, what: str) -> None:
    if recipe.said("series.rollouts") or recipe.said("train.scheduled_sampling"):
        recipe.take("series.decoding", "autoregressive", "the model is to learn from its own steps")
    else:
        recipe.take("series.decoding", "direct", f"the whole {what} in one call: no error is fed back")


def _loss(recipe: Recipe, usual: str, reason: str) -> None:
    for kind, option in (("huber", "threshold"), ("quantiles", "levels")):
        if recipe.said(f"series.loss.{option}") is not None:
            usual, reason = kind, f"the loss that has {option}"
    recipe.take("series.loss.kind", usual, reason)


def _windows(recipe: Recipe, facts: SeriesFacts, season: int) -> None:
    shortest = max(1, min(facts.dev_steps, facts.steps // 4))
    horizon = recipe.take(
        "series.horizon", min(shortest, max(12, season if season <= _LONGEST_PATCH else 24)), "about a season"
    )
    fed = recipe.value("series.decoding") == "autoregressive"
    longest = max(1, horizon // _FEWEST_FED) if fed else _LONGEST_PATCH
    if season > 1:
        patch = max(size for size in range(1, longest + 1) if season % size == 0)
        reason = "a season" if patch == season else "a part of a season"
        patch = recipe.take("series.patch", patch, f"{reason} is one step of the model: each knows its place in it")
    else:
        patch = recipe.take(
            "series.patch", max(1, min(16, horizon // _FEWEST_FED)), "a quarter of the horizon, at most 16 steps"
        )
    wanted = min(_SEASONS * season, _CONTEXT) if season > 1 else _CONTEXT
    room = max(1, facts.steps - horizon - max(horizon, facts.steps // 4))
    context = max(patch, wanted // patch * patch)
    if context > room:
        context = room // patch * patch or room
    recipe.take("series.context", context, f"{_SEASONS} seasons, at most {_CONTEXT} steps and what the table has")


def _model(recipe: Recipe, *, width: int) -> None:
    """A width of recurrent layers; Transformers have their own."""
    family = recipe.take("model.family", "gru", "small, and good on noisy numbers")
    for side in ("encoder", "decoder"):
        kind = recipe.said(f"model.{side}.kind") or family
        recipe.take(f"model.{side}.kind", kind, "the model's family")
        if kind == "transformer":
            shape: dict[str, Any] = {"layers": 2, "width": 64, "heads": 4, "feed_forward": 128, "dropout": 0.3}
            shape["position"] = "sinusoidal"
        else:
            shape = {"layers": 1, "width": width, "dropout": 0.3}
        if kind in ("lstm", "gru") and side == "encoder":
            shape["bidirectional"] = False
        for key, value in shape.items():
            recipe.take(f"model.{side}.{key}", value, "a small model: series repeat themselves")


def _recurrent(recipe: Recipe) -> bool:
    return bool(recipe.value("model.encoder.kind") != "transformer")


def _training(recipe: Recipe, facts: SeriesFacts) -> None:
    accumulate = recipe.said("train.accumulate") or 1
    batch = recipe.take("series.batch_windows", max(1, 256 // accumulate), "usual")
    recipe.take("series.stride", 1, "every window is used")
    windows = facts.numbers if recipe.value("series.channels") == "independent" else facts.numbers // facts.columns
    each = max(1, windows // batch // accumulate)
    wanted = min(_MOST_UPDATES, max(_FEWEST_UPDATES, _EPOCHS * each))
    if recipe.said("train.epochs") is None:
        updates = recipe.take(
            "train.updates", wanted, f"{_EPOCHS} epochs, but at least {_FEWEST_UPDATES:,} and at most {_MOST_UPDATES:,}"
        )
    else:
        updates = recipe.said("train.epochs") * each
    _schedule(recipe, updates, rate=0.002 if _recurrent(recipe) else 0.001)


def _schedule(recipe: Recipe, updates: int, *, rate: float) -> None:
    recipe.take("train.rate", rate, "a small model")
    recipe.take("train.precision", "fp32", "a small model, and numbers need their digits")
    if recipe.said("train.schedule.kind") is None:
        recipe.take("train.schedule.kind", "cosine", "the number of updates is known")
        recipe.take("train.schedule.warmup", max(1, updates // 20), "a 20th of the updates")
    recipe.take("train.validate_every", max(1, updates // 10), "a tenth of the run")
    recipe.take("train.average", 5, "the mean of the best five checkpoints is mostly better than the best")
    recipe.take("train.early_stop", 5, "validations without a better score")
