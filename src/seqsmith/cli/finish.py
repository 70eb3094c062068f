"""The end of a run: the best weights there are become the model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqsmith.bundle import Bundle
from seqsmith.cli.card import model_card
from seqsmith.cli.display import Display
from seqsmith.cli.prepare import Prepared
from seqsmith.cli.validate import Validator, final_scores
from seqsmith.evaluate.report import as_dict, render
from seqsmith.train.checkpoint import average_weights, evaluated_weights, load_tensors
from seqsmith.train.loop import Trainer


def finish(prepared: Prepared, trainer: Trainer, validator: Validator, run: Path, display: Display) -> None:
    """Take the best checkpoint or the mean of the best ones, whichever scores better on dev; score, save, say how to go on."""
    settings, model = prepared.settings, validator.model
    if not trainer.progress.best:
        trainer.validate_now()
    chosen = _best_weights(trainer, validator)
    display.say(chosen)
    predictions = validator.answers(beam=None, most=None)
    scores = validator.scores(predictions, final_scores(settings), resamples=1000)
    display.say(f"Dev scores with beam {settings.search.beam}:\n{render(scores)}")
    folder = run / "model"
    bundle = Bundle(settings, prepared.featuriser, model)
    minutes = trainer.progress.seconds / 60
    card = model_card(
        bundle,
        scores=scores,
        pairs=len(prepared.train),
        dev_pairs=len(predictions),
        minutes=minutes,
        name=str(folder),
    )
    bundle.save(folder, card=card)
    event: dict[str, Any] = {"event": "model", "weights": chosen, "scores": as_dict(scores), "minutes": minutes}
    trainer.tell(event)
    example = next((text for text in prepared.pairs.dev_texts("source", 1)), "")
    display.say(
        f"\nThe model is in {folder}. Use it:\n"
        f"  echo {_quoted(example)} | seqsmith predict {folder}\n"
        f"  seqsmith evaluate {folder} TEST_FILE"
    )


def _best_weights(trainer: Trainer, validator: Validator) -> str:
    """Load the better of the best checkpoint and the mean of the best few, by the dev score; says which it is."""
    updates = [update for _, update in trainer.progress.best]
    best = evaluated_weights(trainer.folder / f"step-{updates[0]:08d}")
    validator.model.eval()
    if len(updates) > 1:
        load_tensors(validator.model, average_weights(trainer.folder, updates), where="average")
        score = validator.validate().score
        if score >= trainer.progress.best[0][0]:
            return f"The model is the mean of the {len(updates)} best checkpoints: it is the best on dev."
    load_tensors(validator.model, best, where="checkpoint")
    return f"The model is the checkpoint of update {updates[0]:,}: it is the best on dev."


def _quoted(text: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in text)[:200]
    return "'" + shown.replace("'", "'\\''") + "'"
