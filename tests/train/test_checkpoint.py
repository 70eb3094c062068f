"""A checkpoint is whole or absent: failing writes, flipped bytes, missing files."""

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from seqsmith.errors import UserError
from seqsmith.folder import check_folder, write_folder
from seqsmith.train.checkpoint import (
    Checkpoint,
    Progress,
    average_weights,
    evaluated_weights,
    latest_checkpoint,
    load_checkpoint,
    place_of,
    prune,
    save_checkpoint,
    updates_in,
)


def checkpoint(update: int, *, value: float = 1.0, average: dict[str, Tensor] | None = None) -> Checkpoint:
    weights = {"weight": torch.full((2, 3), value), "ids": torch.tensor([update, 7])}
    progress = Progress(update, epoch=1, batch=2, best=[((0.5, -0.1), 1), ((0.25, -3.0), update)], seconds=1.5)
    return Checkpoint(weights, {"step.weight": torch.tensor(float(update))}, average or {}, progress, "digest")


def same(one: Checkpoint, other: Checkpoint) -> bool:
    return (one.progress, one.data_digest) == (other.progress, other.data_digest) and all(
        mine.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
        for mine, theirs in (
            (one.weights, other.weights),
            (one.optimizer, other.optimizer),
            (one.average, other.average),
        )
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(bytes(content))


# ------------------------------------------------------------------------------------------------ whole


@pytest.mark.parametrize("average", [None, {"weight": torch.ones(2, 3) * 9}])
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, average: dict[str, Tensor] | None) -> None:
    saved = checkpoint(12, average=average)
    save_checkpoint(tmp_path, saved)
    folder = tmp_path / "step-00000012"
    assert place_of(tmp_path, 12) == folder
    assert updates_in(tmp_path) == [12]
    assert check_folder(folder) is None
    assert same(load_checkpoint(folder), saved)


def test_the_newest_checkpoint_is_taken(tmp_path: Path) -> None:
    for update in (9, 100, 20):
        save_checkpoint(tmp_path, checkpoint(update))
    found = latest_checkpoint(tmp_path, pytest.fail)
    assert found is not None
    assert found.progress.update == 100


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path, pytest.fail) is None
    assert latest_checkpoint(tmp_path / "nowhere", pytest.fail) is None


def test_a_checkpoint_can_be_written_anew(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(5, value=1.0))
    save_checkpoint(tmp_path, checkpoint(5, value=2.0))
    assert names(tmp_path) == ["step-00000005"]
    assert load_checkpoint(place_of(tmp_path, 5)).weights["weight"][0, 0] == 2.0


# ------------------------------------------------------------------------------------------------ or absent


class Fault:
    """Lets the k-th call of some system calls fail with "No space left on device", and the others through."""

    def __init__(self, patch: pytest.MonkeyPatch, k: int):
        self.calls, self.k = 0, k
        for name in ("fsync", "rename", "mkdir"):
            patch.setattr(os, name, self._failing(getattr(os, name)))

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def once(*arguments: Any, **keywords: Any) -> Any:
            self.calls += 1
            if self.calls == self.k:
                raise OSError(28, "No space left on device")
            return call(*arguments, **keywords)

        return once


@pytest.mark.parametrize("update", [1, 2], ids=["replacing", "adding"])
def test_whichever_call_fails_the_old_or_the_new_checkpoint_is_whole(tmp_path: Path, update: int) -> None:
    old, new = checkpoint(1, value=1.0), checkpoint(update, value=2.0)
    told: list[str] = []
    k = 0
    while True:
        k += 1
        folder = tmp_path / str(k)
        save_checkpoint(folder, old)
        with pytest.MonkeyPatch.context() as patch:
            fault = Fault(patch, k)
            try:
                save_checkpoint(folder, new)
            except UserError as error:
                told.append(str(error))
        found = latest_checkpoint(folder, pytest.fail)
        assert found is not None
        assert same(found, old) or same(found, new)
        assert not list(folder.glob(".tmp-*"))
        if fault.calls < k:
            break
    assert same(found, new)
    assert len(told) == k - 1 > 7  # at least three files, their folder, the manifest, the rename, the parent
    assert all("could not be written: No space left on device. Free some space, or " in text for text in told)


def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(tmp_path: Path) -> None:
    big = Checkpoint({"weight": torch.ones(100_000)}, {}, {}, Progress(2), "digest")
    save_checkpoint(tmp_path, checkpoint(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(UserError, match=r"step-00000002: could not be written: .* Free some space, or"):
            save_checkpoint(tmp_path, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["step-00000001"]
    assert check_folder(place_of(tmp_path, 1)) is None


def test_an_error_in_between_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "model", fill)
    assert names(tmp_path) == []


# ------------------------------------------------------------------------------------------------ damage


def test_every_flipped_byte_is_detected(tmp_path: Path) -> None:
    saved = checkpoint(3, average={"weight": torch.zeros(2, 3)})
    save_checkpoint(tmp_path, saved)
    folder = place_of(tmp_path, 3)
    for path in sorted(folder.iterdir()):
        for position in range(path.stat().st_size):
            flip(path, position)
            assert check_folder(folder) is not None or (
                path.name == "MANIFEST.json" and same(load_checkpoint(folder), saved)
            ), (path, position)
            flip(path, position)
    assert check_folder(folder) is None


def test_every_missing_or_cut_file_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(3))
    folder = place_of(tmp_path, 3)
    for name in names(folder):
        save_checkpoint(tmp_path, checkpoint(3))
        path = folder / name
        path.write_bytes(path.read_bytes()[:-3])
        wrong = "MANIFEST.json cannot be read" if name == "MANIFEST.json" else f"{name} is not what was saved"
        assert wrong in str(check_folder(folder))
        path.unlink()
        assert check_folder(folder) == f"{name} is missing"


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"files": []}', '{"files": 3}', "\xff"])
def test_a_manifest_of_another_form_is_damage(tmp_path: Path, manifest: str) -> None:
    save_checkpoint(tmp_path, checkpoint(3))
    folder = place_of(tmp_path, 3)
    (folder / "MANIFEST.json").write_bytes(manifest.encode("latin-1"))
    assert check_folder(folder) == "MANIFEST.json cannot be read"


def test_a_damaged_checkpoint_is_set_aside_loudly_and_the_one_before_is_taken(tmp_path: Path) -> None:
    for update in (1, 2, 3):
        save_checkpoint(tmp_path, checkpoint(update))
    flip(place_of(tmp_path, 3) / "weights.safetensors", -1)
    (place_of(tmp_path, 2) / "state.json").unlink()
    told: list[str] = []
    found = latest_checkpoint(tmp_path, told.append)
    assert found is not None
    assert found.progress.update == 1
    aside = f".corrupt-step-00000003-{os.getpid()}"
    assert told[0] == (
        f"{place_of(tmp_path, 3)}: weights.safetensors is not what was saved (its SHA-256 differs); "
        f"set aside as {aside}, going on from the checkpoint before it."
    )
    assert "state.json is missing" in told[1]
    assert names(tmp_path) == [f".corrupt-step-00000002-{os.getpid()}", aside, "step-00000001"]


# ------------------------------------------------------------------------------------------------ pruning


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(updates=st.sets(st.integers(1, 10**9), max_size=8), data=st.data())
def test_pruning_removes_all_but_the_kept_and_the_newest_two(
    tmp_path: Path, updates: set[int], data: st.DataObject
) -> None:
    keep = data.draw(st.sets(st.sampled_from(sorted(updates)) if updates else st.nothing()))
    folder = tmp_path / "checkpoints"
    shutil.rmtree(folder, ignore_errors=True)
    for update in updates:
        place_of(folder, update).mkdir(parents=True)
    prune(folder, keep=keep)
    assert set(updates_in(folder)) == keep | set(sorted(updates)[-2:])


def test_what_cannot_be_deleted_stops_nothing(tmp_path: Path) -> None:
    for update in (1, 2, 3):
        place_of(tmp_path, update).write_text("a file where a folder is expected")
    prune(tmp_path, keep=[])
    assert len(names(tmp_path)) == 3


# ------------------------------------------------------------------------------------------------ weights


def test_the_average_is_the_mean_of_the_weights_that_were_scored(tmp_path: Path) -> None:
    scored = []
    for update in range(1, 6):
        own, ids = torch.randn(4, 3), torch.tensor([1, 2])
        average = {"weight": torch.randn(4, 3)} if update % 2 else {}
        scored.append(average.get("weight", own))
        saved = Checkpoint({"weight": own, "ids": ids}, {}, average, Progress(update), "digest")
        save_checkpoint(tmp_path, saved)
        assert torch.equal(evaluated_weights(tmp_path, update)["weight"], scored[-1])
    mean = average_weights(tmp_path, [1, 2, 4, 5])
    expected = torch.stack([scored[i].double() for i in (0, 1, 3, 4)]).mean(0).float()
    torch.testing.assert_close(mean["weight"], expected, rtol=0, atol=1e-7)
    assert mean["weight"].dtype == torch.float32
    assert torch.equal(mean["ids"], ids)  # numbers that are no weights are not averaged


def test_the_average_of_one_is_itself(tmp_path: Path) -> None:
    saved = checkpoint(1, value=0.1)
    save_checkpoint(tmp_path, saved)
    assert torch.equal(average_weights(tmp_path, [1])["weight"], saved.weights["weight"])
