"""Whole runs, from a file of pairs to a model folder, on data that is generated here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import reversal
from seqsmith import config
from seqsmith.batch import Batch
from seqsmith.bundle import open_bundle
from seqsmith.cli import validate
from seqsmith.cli.display import Display
from seqsmith.cli.train import train
from seqsmith.errors import Diverged, UserError
from seqsmith.objective.teacher import Forward, teacher_forced
from seqsmith.objective.token import Loss
from seqsmith.predictor import Predictor
from seqsmith.train.checkpoint import load_checkpoint, place_of, save_checkpoint, updates_in
from seqsmith.train.journal import Event, read_journal

HERE = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEQSMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data(tmp_path: Path) -> str:
    return reversal.write(tmp_path / "train.tsv", reversal.pairs(200))


def settings(path: str, kind: str = "lstm", /, **changes: Any) -> dict[str, Any]:
    """What a user writes who wants a small model soon."""
    table: dict[str, Any] = {
        "data": {"train": [{"path": path}], "dev_pairs": 20},
        "model": reversal.model(kind),
        "train": {
            "updates": 12,
            "validate_every": 4,
            "batch_tokens": 120,
            "precision": "fp32",
            "threads": 1,
            "score": "exact_match",
        },
        "search": {"beam": 2},
    }
    return config.merge(table, changes)


def run(table: dict[str, Any], folder: Path, *, resume: bool = False) -> int:
    return train(table, folder, resume=resume, quiet=True)


def resume(folder: Path) -> int:
    return run(config.read_table(folder / "config.toml"), folder, resume=True)


def events(folder: Path, kind: str) -> list[Event]:
    return [event for event in read_journal(folder / "journal.jsonl") if event["event"] == kind]


def stop_after(monkeypatch: pytest.MonkeyPatch, update: int, number: int = signal.SIGTERM) -> None:
    """Have this process told to stop while the validation of that update is shown."""
    show = Display.show

    def show_and_stop(self: Display, event: Event) -> None:
        show(self, event)
        if event["event"] == "validation" and event["update"] == update:
            signal.raise_signal(number)

    monkeypatch.setattr(Display, "show", show_and_stop)


def error_of(table: dict[str, Any], folder: Path, *, resume: bool = False) -> str:
    with pytest.raises(UserError) as error:
        run(table, folder, resume=resume)
    return str(error.value)


# ------------------------------------------------------------------------------------------------ a whole run


def test_two_columns_in_a_model_out(tmp_path: Path, data: str) -> None:
    assert run(settings(data), tmp_path / "run") == 0
    model = tmp_path / "run" / "model"
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {
        "config.toml",
        "journal.jsonl",
        "checkpoints",
        "model",
    }
    assert [event["event"] for event in read_journal(tmp_path / "run" / "journal.jsonl")][-1] == "model"
    assert "seqsmith predict" in (model / "README.md").read_text()
    assert len(Predictor.open(model).predict(["123", "4"])) == 2
    assert open_bundle(model).settings == config.read(tmp_path / "run" / "config.toml")


def test_the_model_is_the_mean_of_the_best_checkpoints_or_the_best_whichever_is_better(
    tmp_path: Path, data: str
) -> None:
    for average in (0, 3):
        folder = tmp_path / str(average)
        run(settings(data, train={"average": average, "score": "loss"}), folder)
        best = min(events(folder, "validation"), key=lambda event: event["value"])
        said = events(folder, "model")[0]["weights"]
        made = open_bundle(folder / "model").model.state_dict()
        checkpoint = load_checkpoint(place_of(folder / "checkpoints", best["update"])).weights
        is_best = torch.equal(made["outlet.bias"], checkpoint["outlet.bias"])
        assert is_best == said.startswith(f"The model is the checkpoint of update {best['update']}:")
        assert is_best or said.startswith("The model is the mean of the 3 best checkpoints")
        assert is_best or average == 3


def test_the_same_settings_give_the_same_model(tmp_path: Path, data: str) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        run(settings(data, seed=seed), tmp_path / name)
    one, again, other = ((tmp_path / n / "model" / "model.safetensors").read_bytes() for n in ("one", "again", "other"))
    assert one == again != other


def test_a_run_ends_after_its_epochs_or_its_updates_whichever_comes_first(tmp_path: Path, data: str) -> None:
    ends = {}
    for epochs, updates, accumulate in ((2, None, 1), (2, None, 3), (1, 5, 1), (9, 5, 1)):
        folder = tmp_path / f"{epochs} {updates} {accumulate}"
        limits = {"epochs": epochs, "accumulate": accumulate, "validate_every": 100, "batch_tokens": 200}
        table = settings(data, train=limits | ({"updates": updates} if updates else {}))
        if updates is None:
            del table["train"]["updates"]
        run(table, folder)
        [last] = updates_in(folder / "checkpoints")
        progress = load_checkpoint(place_of(folder / "checkpoints", last)).progress
        ends[epochs, updates, accumulate] = (progress.update, progress.epoch, progress.batch)
    two_epochs = ends[2, None, 1]
    assert two_epochs[0] % 2 == 0
    assert two_epochs[1:] == (2, 0)
    assert ends[2, None, 3] == (2 * -(-(two_epochs[0] // 2) // 3), 2, 0)
    assert ends[1, 5, 1] == (min(5, two_epochs[0] // 2), *ends[1, 5, 1][1:])
    assert ends[9, 5, 1][0] == 5


def test_what_is_chosen_is_told_with_its_reason(tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(settings(data), tmp_path / "run", resume=False)
    told = capsys.readouterr().err
    assert "pairs (seed 1); no source or target of theirs is left in training." in told
    assert "source.tokeniser.kind=characters, target.tokeniser.kind=characters" in told
    assert "(short texts of 3 characters in 1.0 words)" in told
    assert "Model: " in told
    assert f"seqsmith predict {tmp_path / 'run' / 'model'}" in told


def test_validation_takes_no_more_at_once_than_the_search_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = reversal.write(tmp_path / "long.tsv", [(f"{number}" * 50, f"{number % 7}") for number in range(10, 30)])
    seen: list[int] = []

    def look(model: Forward, batch: Batch, **options: Any) -> Loss:
        seen.append(max(batch.source.id_BL.numel(), len(batch.target.id_BL) if batch.target else 0))
        return teacher_forced(model, batch, **options)

    monkeypatch.setattr(validate, "teacher_forced", look)
    table = settings(data, train={"updates": 1, "score": "loss"}, search={"batch_tokens": 210})
    run(config.merge(table, {"data": {"dev": [{"path": data}]}}), tmp_path / "run")
    assert max(seen) <= 210


def test_tokens_weights_and_features_go_all_the_way(tmp_path: Path) -> None:
    rows = [(source, target, "N" if row % 2 else "V") for row, (source, target) in enumerate(reversal.pairs(200))]
    first, second = (
        reversal.write(tmp_path / name, part) for name, part in (("a.tsv", rows[:100]), ("b.tsv", rows[100:]))
    )
    table = settings(
        first,
        data={"train": [{"path": first}, {"path": second, "weight": 2.5}], "features": 3},
        source={"tokeniser": {"kind": "sentencepiece", "vocabulary": 300, "sampling": 0.2}},
        model={"copy_source": True, "coverage": 0.5},
        train={"ema": 0.9, "accumulate": 2, "scheduled_sampling": 0.5, "schedule": "inverse_sqrt", "minutes": 5.0}
        | {"r_drop": 5.0},
    )
    assert run(table, tmp_path / "run") == 0
    model = Predictor.open(tmp_path / "run" / "model")
    assert len(model.predict(["12", ""], features=["N", "V"])) == 2


# ------------------------------------------------------------------------------------------------ resuming

EVERYTHING = {
    "model": {"encoder": {"dropout": 0.3}, "decoder": {"dropout": 0.3}},
    "train": {
        "ema": 0.9,
        "accumulate": 2,
        "scheduled_sampling": 0.5,
        "r_drop": 2.0,
        "schedule": "plateau",
        "average": 2,
    },
    "source": {"tokeniser": {"kind": "sentencepiece", "vocabulary": 300, "sampling": 0.2}},
    "joint_vocabulary": False,
}


def outcome(folder: Path) -> tuple[bytes, list[Any]]:
    """The model's bytes and what was found on the way, without times."""
    found = [
        {key: event[key] for key in ("update", "epoch", "value", "best", "dev_nats_per_token")}
        for event in events(folder, "validation")
    ]
    return (folder / "model" / "model.safetensors").read_bytes(), found


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_resume_equals_never_stopped(tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    table = settings(data, kind, **EVERYTHING)
    assert run(table, tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        assert run(table, tmp_path / "parts") == 128 + signal.SIGTERM
    assert not (tmp_path / "parts" / "model").exists()
    with monkeypatch.context() as patch:
        stop_after(patch, 8)
        assert resume(tmp_path / "parts") == 128 + signal.SIGTERM
    assert resume(tmp_path / "parts") == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_a_new_process_goes_on_where_another_stopped(
    tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = settings(data, **EVERYTHING)
    assert run(table, tmp_path / "whole") == 0
    stop_after(monkeypatch, 4)
    assert run(table, tmp_path / "parts") == 128 + signal.SIGTERM
    program = "from seqsmith.cli.main import main; main()"
    command = [sys.executable, "-c", program, "train", "--resume", "--out", str(tmp_path / "parts"), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(HERE / "src")}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert answer.returncode == 0, answer.stderr
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_control_c_saves_and_says_how_to_go_on(
    tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_after(monkeypatch, 4, signal.SIGINT)
    assert train(settings(data), tmp_path / "run", resume=False) == 130
    told = capsys.readouterr().err
    assert f"Stopped and saved. Go on with: seqsmith train --resume --out {tmp_path / 'run'}" in told
    assert place_of(tmp_path / "run" / "checkpoints", 4).is_dir()


def test_a_finished_run_can_make_its_model_again(tmp_path: Path, data: str) -> None:
    run(settings(data), tmp_path / "run")
    before = outcome(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    assert resume(tmp_path / "run") == 0
    assert outcome(tmp_path / "run") == before


def test_without_a_checkpoint_the_run_begins_again(tmp_path: Path, data: str) -> None:
    run(settings(data), tmp_path / "run")
    before = (tmp_path / "run" / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert resume(tmp_path / "run") == 0
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_left_out_of_the_model(
    tmp_path: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    run(settings(data, train={"average": 3}), folder)
    damaged = place_of(folder / "checkpoints", 4) / "weights.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert train(config.read_table(folder / "config.toml"), folder, resume=True) == 0
    told = capsys.readouterr().err
    assert (
        f"{damaged.parent}: weights.safetensors is not what was saved (its SHA-256 differs); the model is made" in told
    )

    newest = load_checkpoint(place_of(folder / "checkpoints", 12))
    newest.progress.best = [((1.0, 0.0), 3)]
    save_checkpoint(folder / "checkpoints", newest)
    assert error_of(config.read_table(folder / "config.toml"), folder, resume=True) == (
        f"{folder / 'checkpoints'}: none of the best checkpoints is whole. Start a new run in another --out."
    )


def test_data_that_has_changed_is_not_gone_on_with(tmp_path: Path, data: str) -> None:
    run(settings(data), tmp_path / "run")
    with open(data, "a", encoding="utf-8") as file:
        file.write("5678\t8765\n")
    table = config.read_table(tmp_path / "run" / "config.toml")
    assert error_of(table, tmp_path / "run", resume=True) == (
        f"{tmp_path / 'run'}: the data, or how it is read ([data] in config.toml), has changed since this run began, "
        "so it cannot go on as if it had not. Put it back, or start a new run with --set train.start_from=... in "
        "another --out."
    )


def test_a_run_that_diverges_says_so(tmp_path: Path, data: str) -> None:
    table = settings(data, train={"rate": 1e30, "updates": 60, "schedule": "constant", "validate_every": 100})
    with pytest.raises(Diverged, match="20 updates in a row had no finite gradient"):
        run(table, tmp_path / "run")
    assert events(tmp_path / "run", "skip")


# ------------------------------------------------------------------------------------------------ fine-tuning


def test_a_model_is_trained_on_and_learns_new_symbols(tmp_path: Path, data: str) -> None:
    run(settings(data), tmp_path / "first")
    rows = [(source + "x", "x" + target) for source, target in reversal.pairs(200, seed=2)]
    more = reversal.write(tmp_path / "more.tsv", rows)
    table = settings(more, train={"start_from": str(tmp_path / "first" / "model"), "updates": 8})
    del table["model"]
    assert run(table, tmp_path / "second") == 0
    first, second = (open_bundle(tmp_path / name / "model") for name in ("first", "second"))
    assert second.featuriser.target.size == first.featuriser.target.size + 1
    assert second.settings.model == first.settings.model
    assert second.settings.train.rate == 0.0005


def test_fine_tuning_that_stopped_before_its_first_checkpoint_still_starts_from_the_model(
    tmp_path: Path, data: str
) -> None:
    run(settings(data), tmp_path / "first")
    table = settings(data, train={"start_from": str(tmp_path / "first" / "model")})
    run(table, tmp_path / "second")
    before = (tmp_path / "second" / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "second" / "checkpoints")
    assert resume(tmp_path / "second") == 0
    assert (tmp_path / "second" / "model" / "model.safetensors").read_bytes() == before


def test_fine_tuning_goes_on_without_the_older_model(
    tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(settings(data), tmp_path / "first")
    table = settings(data, train={"start_from": str(tmp_path / "first" / "model")})
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        assert run(table, tmp_path / "second") == 128 + signal.SIGTERM
    shutil.rmtree(tmp_path / "first")
    assert resume(tmp_path / "second") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"encoder": {"layers": 2}}}, "train.start_from: that model is built otherwise (encoder.layers.1."),
        (
            {"model": {"embedding": 8}},
            "train.start_from: that model's embeddings are (16,) wide, these settings ask for",
        ),
        (
            {"model": {"encoder": {"width": 32}}},
            "train.start_from: that model's encoder.layers.0.weight_ih has shape (32, 16), these settings ask for",
        ),
        (
            {"source": {"tokeniser": "bytes"}},
            "train.start_from: source is set otherwise than in that model, whose vocabulary is taken over: "
            "leave the settings of source out.",
        ),
        ({"target": {"lowercase": True}}, "train.start_from: target is set otherwise than in that model"),
        ({"joint_vocabulary": False}, "train.start_from: joint_vocabulary is set otherwise than in that model"),
    ],
)
def test_another_architecture_or_cut_cannot_be_started_from(
    tmp_path: Path, data: str, change: dict[str, Any], message: str
) -> None:
    model = tmp_path / "model"
    trained = {"train": {"updates": 1, "score": "loss"}}
    run(settings(data, **trained), tmp_path / "first")
    (tmp_path / "first" / "model").rename(model)
    table = settings(data, **config.merge({"train": {"start_from": str(model)}}, change))
    assert error_of(table, tmp_path / "second").startswith(message)


# ------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("kind", "lengths", "updates"), [("lstm", (1, 5), 160), ("gru", (1, 5), 160), ("transformer", (3, 3), 300)]
)
def test_a_small_model_learns_to_reverse_what_it_has_not_seen(
    tmp_path: Path, kind: str, lengths: tuple[int, int], updates: int, seed: int
) -> None:
    data = reversal.write(tmp_path / "train.tsv", reversal.pairs(1500, shortest=lengths[0], longest=lengths[1]))
    sides = {"position": "sinusoidal"} if kind == "transformer" else {}
    table = settings(
        data,
        kind,
        seed=seed,
        data={"dev_pairs": 100},
        model=reversal.model(kind, width=64, encoder=sides, decoder=sides),
        train={
            "updates": updates,
            "validate_every": updates // 2,
            "batch_tokens": 256 if kind == "transformer" else 512,
            "rate": 0.006 if kind == "transformer" else 0.01,
            "schedule": {"kind": "cosine", "warmup": 20},
            "label_smoothing": 0.0,
            "average": 1,
        },
    )
    assert run(table, tmp_path / "run") == 0
    assert events(tmp_path / "run", "model")[0]["scores"]["exact_match"]["value"] >= 95.0
