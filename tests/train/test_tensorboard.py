"""The events of a run arrive in TensorBoard's files as curves over updates."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from seqsmith.errors import UserError
from seqsmith.train.tensorboard import TensorBoard, check_installed

UPDATE = {
    "event": "update",
    "update": 10,
    "loss": 2.5,
    "nats_per_token": 2.0,
    "gradient_norm": 1.5,
    "rate": 0.001,
    "tokens_per_second": 5000.0,
}
VALIDATION = {"event": "validation", "update": 20, "dev_nats_per_token": 1.5, "name": "bleu", "value": 31.25}


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(point.step, point.value) for point in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_updates_and_validations_become_curves(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    board = TensorBoard(tmp_path)
    for event in ({"event": "start"}, UPDATE, VALIDATION, {**UPDATE, "update": 30, "loss": 1.25}, {"event": "end"}):
        board.write(event)
    board.close()
    found = curves(tmp_path)
    assert found["train/loss"] == [(10, 2.5), (30, 1.25)]
    assert found["train/rate"][0] == (10, pytest.approx(0.001))
    assert found["dev/nats_per_token"] == [(20, 1.5)]
    assert found["dev/bleu"] == [(20, 31.25)]
    assert set(found) == {
        *("train/loss", "train/nats_per_token", "train/gradient_norm", "train/rate", "train/tokens_per_second"),
        *("dev/nats_per_token", "dev/bleu"),
    }


def test_a_missing_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for use in (check_installed, lambda: TensorBoard(tmp_path)):
        with pytest.raises(
            UserError, match=r"^train.tensorboard: TensorBoard is not installed. Run `pip install 'seqs"
        ):
            use()
