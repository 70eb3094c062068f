"""The end of a run: the best weights there are become the model folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from seqsmith.bundle import Bundle
from seqsmith.cli.card import model_card
from seqsmith.cli.display import Display
from seqsmith.cli.prepare import Prepared
from seqsmith.cli.program import Say, command
from seqsmith.cli.validate import Validator, final_scores
from seqsmith.engine.selfcheck import Pair, save_sample
from seqsmith.errors import UserError
from seqsmith.evaluate.report import as_dict, render
from seqsmith.folder import check_folder
from seqsmith.model_folder import SAMPLE, SHORTLIST
from seqsmith.predictor import Prediction
from seqsmith.search.shortlist import SMALLEST, Shortlist, learn_shortlist
from seqsmith.tensors import load_tensors
from seqsmith.train.checkpoint import average_weights, evaluated_weights, place_of
from seqsmith.train.loop import Trainer


def finish(prepared: Prepared, trainer: Trainer, validator: Validator, run: Path, display: Display) -> None:
    """Take the best checkpoint or the mean of the best ones, whichever scores better on dev; score, save, say how to
    go on."""
    settings, model = prepared.settings, validator.model
    chosen = best_weights(trainer, display.say)
    display.say(chosen)
    predictions = validator.answers(beam=None, most=None)
    scores = validator.scores(predictions, final_scores(settings), resamples=1000)
    display.say(f"Dev scores with {settings.search.manner}:\n{render(scores)}")
    folder = run / "model"
    bundle = Bundle(settings, prepared.featuriser, model)
    sample = _sample(prepared, predictions)
    shortlist = _shortlist(prepared, sample, display.say)
    minutes = trainer.progress.seconds / 60
    card = model_card(
        bundle,
        scores=scores,
        pairs=len(prepared.train),
        dev_pairs=len(predictions),
        minutes=minutes,
        name=str(folder),
        sample=bool(sample),
        shortlist=shortlist is not None,
    )

    def beside(place: Path) -> None:
        save_sample(sample, place / SAMPLE)
        if shortlist is not None:
            shortlist.save(place / SHORTLIST)

    bundle.save(folder, card=card, beside=beside)
    trainer.tell({"event": "model", "weights": chosen, "scores": as_dict(scores), "minutes": minutes})
    display.say(
        f"\nThe model is in {folder}. Use it:\n"
        f"  {_printed(prepared)} | {command('predict', folder)}\n"
        f"  {command('evaluate', folder, 'TEST_FILE')}"
    )


def _sample(prepared: Prepared, predictions: list[Prediction]) -> list[Pair]:
    """Dev pairs with the answers of torch, on which other engines will be checked; they take text alone."""
    if prepared.settings.source.kind != "text":
        return []
    targets = prepared.pairs.dev_texts("target", None)
    features: Sequence[str | None] = prepared.pairs.dev_texts("features", None) or [None] * len(targets)
    rows = zip(predictions, targets, features, strict=True)
    return [
        Pair(answer.source, target, answer.text, column)
        for answer, target, column in rows
        if answer.source.strip() and not answer.cut_source
    ]


def _shortlist(prepared: Prepared, sample: Sequence[Pair], say: Say) -> Shortlist | None:
    """The shortlist of a large target vocabulary, as long as torch's answers to dev need it."""
    featuriser, size = prepared.featuriser, prepared.featuriser.target.size
    if not sample or size < SMALLEST or prepared.settings.model.copy_source:
        return None
    texts = {"source": [pair.source for pair in sample]}
    if featuriser.takes_features:
        texts["features"] = [pair.features or "" for pair in sample]
    found, reached = learn_shortlist(
        prepared.train.source,
        prepared.train.target,
        target_of_source=featuriser.target_of_source(),
        target_size=size,
        dev=featuriser.sources(texts),
        answers=featuriser.targets({"target": [pair.answer for pair in sample]}),
    )
    say(
        f"Shortlist of the vocabulary: {reached.length:,.0f} of {size:,} target ids for a source of dev; "
        f"{reached.answers:.1%} of the answers need no others."
    )
    return found


def _printed(prepared: Prepared) -> str:
    """The shell command that prints the first source of dev, with its features if it has any."""
    fields = [prepared.pairs.dev_texts(role, 1) for role in ("source", "features")]
    texts = [_quoted(text) for field in fields for text in field]
    return f"echo {texts[0]}" if len(texts) == 1 else f"printf '%s\\t%s\\n' {' '.join(texts)}"


def best_weights(trainer: Trainer, say: Say) -> str:
    """Load the better of the best checkpoint and the mean of the best few, by the dev score; says which it is."""
    best = list(_whole(trainer, say))
    if not best:
        raise UserError(f"{trainer.folder}: none of the best checkpoints is whole. Start a new run in another --out.")
    updates = [update for _, update in best]
    trainer.model.eval()
    if len(best) > 1:
        load_tensors(trainer.model, average_weights(trainer.folder, updates), where="average")
        if trainer.validate().score >= best[0][0]:
            return f"The model is the mean of the {len(updates)} best checkpoints: it is the best on dev."
    load_tensors(trainer.model, evaluated_weights(trainer.folder, updates[0]), where="checkpoint")
    return f"The model is the checkpoint of update {updates[0]:,}: it is the best on dev."


def _whole(trainer: Trainer, say: Say) -> Iterator[tuple[tuple[float, float], int]]:
    """The score and update of the best checkpoints, best first, without damaged ones."""
    for score, update in trainer.progress.best:
        folder = place_of(trainer.folder, update)
        wrong = check_folder(folder)
        if wrong is None:
            yield score, update
        else:
            say(f"{folder}: {wrong}; the model is made without it.")


def _quoted(text: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in text)[:200]
    return "'" + shown.replace("'", "'\\''") + "'"
