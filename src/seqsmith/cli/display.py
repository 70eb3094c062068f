"""What a training run shows: a progress bar with rates and scores, a line a validation, a few answers, warnings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from seqsmith.evaluate.report import TITLES
from seqsmith.train.journal import Event

_EXAMPLE_CHARACTERS = 200


class Display:
    """Shows events as they come; a plain stream gets the same lines without the bar."""

    def __init__(self, *, quiet: bool = False):
        self.console = _Console(stderr=True, quiet=quiet, soft_wrap=True, highlight=False)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=10),
            TextColumn("{task.completed:,}/{task.total:,}"),
            TimeRemainingColumn(compact=True),
            # last, as a narrow terminal cuts here: what matters least ends it
            TextColumn("loss {task.fields[loss]}  {task.fields[score]}{task.fields[speed]} tokens/s"),
            console=self.console,
            disable=quiet or not sys.stderr.isatty(),
            transient=True,
        )
        self.task = self.bar.add_task("", total=1, epoch=1, loss="-", speed="-", score="")
        self.last_update: Event | None = None

    @contextmanager
    def progress(self, total_updates: int, done: int) -> Iterator[None]:
        """Within, the bar is shown."""
        self.bar.update(self.task, total=total_updates, completed=done)
        with self.bar:
            yield

    def show(self, event: Event) -> None:
        """Show one event of the training loop."""
        match event["event"]:
            case "update":
                self.bar.update(
                    self.task,
                    completed=event["update"],
                    epoch=event["epoch"] + 1,
                    loss=f"{event['loss']:.3f}",
                    speed=f"{event['tokens_per_second']:,.0f}",
                )
                self.last_update = event
            case "validation":
                self._validation(event)
            case "skip":
                self.say(f"update {event['update']:,} left out: {event['why']}")
            case "end" if not event["reason"].startswith("signal"):
                self.say(f"Training ended after {event['update']:,} updates: {event['reason'].rstrip('.')}.")

    def say(self, text: str) -> None:
        """Print a line, or several; nothing that came from a file can steer the terminal."""
        shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
        self.console.print(escape(shown))

    def _validation(self, event: Event) -> None:
        self.bar.update(self.task, completed=event["update"], score=f"{score_of(event)}  ")
        self.say(validation_line(event, self.last_update))
        for example in event.get("examples", ()):
            for label in ("source", "reference", "output"):
                self.say(f"    {label:<10} {_cut(example[label])}")
        for warning in event.get("warnings", ()):
            self.say(f"    warning: {warning}")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A run goes on when nobody looks any more; rich itself would end it."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _cut(text: str) -> str:
    """An example in one line."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[: _EXAMPLE_CHARACTERS - 1] + "…"


def validation_line(event: Event, update: Event | None = None) -> str:
    """A validation in a line, with what the updates before it showed."""
    parts = [f"update {event['update']:>7,}", f"epoch {event['epoch']:>3}"]
    if update is not None:
        parts.append(f"train {update['nats_per_token']:.3f}")
    if "dev_nats_per_token" in event:  # a model of series has a loss of another unit
        parts.append(f"dev {event['dev_nats_per_token']:.3f} nats/token")
    if event["name"] != "loss":
        parts.append(score_of(event))
    if update is not None:
        parts.append(f"{update['tokens_per_second']:,.0f} {event.get('unit', 'tokens')}/s")
    if event["best"]:
        parts.append("best so far")
    return "  ".join(parts)


def score_of(event: Event) -> str:
    """The dev score of a validation, as `BLEU 31.20`."""
    digits = event.get("digits", 3 if event["name"] == "loss" else 2)
    return f"{TITLES.get(event['name'], event['name'])} {event['value']:.{digits}f}"
