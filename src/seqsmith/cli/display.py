"""What a training run shows: a progress bar with rates and scores, a line a validation, a few answers, warnings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from seqsmith.train.journal import Event


class Display:
    """Shows events as they come; a plain stream gets the same lines without the bar."""

    def __init__(self, *, quiet: bool = False):
        self.console = Console(stderr=True, quiet=quiet, soft_wrap=True, highlight=False)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total} updates"),
            TextColumn("loss {task.fields[loss]}  {task.fields[speed]} tokens/s  {task.fields[score]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not sys.stderr.isatty(),
            transient=True,
        )
        self.task = self.bar.add_task("", total=None, epoch=1, loss="-", speed="-", score="")
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
                self.say(f"update {event['update']} left out: {event['why']}")
            case "end":
                self.say(f"Training ended after {event['update']:,} updates: {event['reason']}.")

    def say(self, text: str) -> None:
        self.console.print(escape(text))

    def _validation(self, event: Event) -> None:
        score = f"{event['name']} {event['value']:.2f}"
        self.bar.update(self.task, completed=event["update"], score=score)
        train = self.last_update
        speed = (
            ""
            if train is None
            else f"train {train['nats_per_token']:.3f}, {train['tokens_per_second']:,.0f} tokens/s, "
        )
        best = "  best so far" if event["best"] else ""
        self.say(
            f"epoch {event['epoch']:>3}  update {event['update']:>6,}  {speed}dev {event['dev_nats_per_token']:.3f} "
            f"nats/token, {score}{best}"
        )
        for example in event.get("examples", ()):
            self.say(f"    source     {example['source']}")
            self.say(f"    reference  {example['reference']}")
            self.say(f"    output     {example['output']}")
        for warning in event.get("warnings", ()):
            self.say(f"    warning: {warning}")
