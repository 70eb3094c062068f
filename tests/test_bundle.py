"""A model folder comes back as it was saved, or says what is wrong with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import reversal
from seqsmith.batch import Batch, tokens
from seqsmith.bundle import Bundle, new_model, open_bundle
from seqsmith.errors import UserError
from seqsmith.folder import NotWritten, write_folder
from seqsmith.model_folder import kind_of_model
from seqsmith.predictor import Predictor
from seqsmith.special import END
from seqsmith.tensors import tensors_of

KINDS: dict[str, dict[str, Any]] = {
    "lstm": {"kind": "lstm"},
    "gru": {"kind": "gru", "features": "NV"},
    "transformer": {"kind": "transformer"},
    "mixed": {"model": {"encoder": reversal.side("transformer", width=16)}},
    "copy": {"model": {"copy_source": True}},
    "one embedding": {"joint_vocabulary": True, "model": {"share_embeddings": "all"}, "features": "NV"},
    "source embedding": {"joint_vocabulary": True, "model": {"share_embeddings": "source"}, "features": "NV"},
    "nothing shared": {"model": {"share_embeddings": "none"}},
    "bytes": {"source": {"tokeniser": "bytes"}, "target": {"tokeniser": "bytes"}},
}


def batch(bundle: Bundle) -> Batch:
    chance = torch.Generator().manual_seed(1)
    source, target = (
        [[*torch.randint(4, 12, (length,), generator=chance).tolist(), END] for length in lengths]
        for lengths in ((3, 1, 5), (2, 5, 4))
    )
    assert bundle.featuriser.source.size >= 12
    return Batch(tokens(source), tokens(target), torch.arange(3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    reversal.bundle().save(tmp_path / "model", card="# a card\n")
    return tmp_path / "model"


def wrong(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        open_bundle(folder)
    return str(error.value)


def test_a_disk_that_refuses_tensors_is_told_as_any(tmp_path: Path) -> None:
    def fill(place: Path) -> None:
        save_file({"x": np.zeros(3)}, place / "no" / "such.safetensors")

    with pytest.raises(NotWritten, match=r"model: could not be written: .*No such file.*\. Free some space, or choose"):
        write_folder(tmp_path / "model", fill)


# ------------------------------------------------------------------------------------------------ round trip


@pytest.mark.parametrize("name", KINDS)
def test_load_equals_save(tmp_path: Path, name: str) -> None:
    saved = reversal.bundle(**KINDS[name])
    saved.save(tmp_path / "model", card="")
    opened = open_bundle(tmp_path / "model")
    assert opened.settings == saved.settings
    assert opened.featuriser.same_ids(saved.featuriser)
    tensors = tensors_of(saved.model)
    assert tensors.keys() == tensors_of(opened.model).keys()
    for key, tensor in tensors_of(opened.model).items():
        assert torch.equal(tensor, tensors[key])
    assert torch.equal(opened.model(batch(opened)).scores.logits(), saved.model(batch(saved)).scores.logits())


@pytest.mark.parametrize("name", KINDS)
def test_a_loaded_model_gives_the_same_answers(tmp_path: Path, name: str) -> None:
    reversal.bundle(**KINDS[name], updates=15).save(tmp_path / "model", card="")
    shutil.copytree(tmp_path / "model", tmp_path / "elsewhere")
    texts = [source for source, _ in reversal.pairs(12)]
    features = ["N"] * 12 if "features" in KINDS[name] else None
    first, second = (
        Predictor.open(tmp_path / place).predict(texts, features=features) for place in ("model", "elsewhere")
    )
    assert first == second
    assert len({prediction.text for prediction in first}) > 1  # answers that differ from each other


def test_a_loaded_model_is_ready_for_use(folder: Path) -> None:
    assert not open_bundle(folder).model.training


def test_a_model_folder_holds_no_code_and_lists_what_it_holds(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"MANIFEST.json", "README.md", "config.toml", "model.safetensors", "source.vocab", "target.vocab"}
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    assert manifest["format"] == 1
    assert manifest["files"].keys() == names - {"MANIFEST.json", "README.md"}
    assert (folder / "README.md").read_text() == "# a card\n"


def test_a_model_can_be_saved_over_another(folder: Path) -> None:
    other = reversal.bundle(seed=2)
    other.save(folder, card="")
    assert torch.equal(open_bundle(folder).model.outlet.weight, other.model.outlet.weight)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_one_vocabulary_with_features_shares_all_embeddings() -> None:
    made = reversal.bundle(**KINDS["one embedding"])
    assert made.model.target_inlet.embedding is made.model.source_inlet.embedding
    assert made.featuriser.source.size == made.featuriser.target.size + 2
    assert len(made.model.outlet.weight) == made.featuriser.source.size


def test_a_new_model_depends_on_the_seed_alone() -> None:
    made = reversal.bundle()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(
            {key: tensor.tolist() for key, tensor in tensors_of(new_model(made.settings, made.featuriser)).items()}
        )
    assert found[0] == found[1] != found[2]


# ------------------------------------------------------------------------------------------------ what is wrong


def test_no_folder_is_said(tmp_path: Path) -> None:
    assert wrong(tmp_path / "model") == f"{tmp_path / 'model'}: no such model folder."
    (tmp_path / "config.toml").write_text("")
    assert wrong(tmp_path / "model") == (
        f"{tmp_path / 'model'}: no such model folder. The run in {tmp_path} makes it when it ends (train --resume goes "
        "on)."
    )
    (tmp_path / "config.toml").unlink()


def test_another_folder_is_no_model_folder(tmp_path: Path) -> None:
    assert wrong(tmp_path) == f"{tmp_path}: not a model folder: it has no MANIFEST.json."
    (tmp_path / "file").write_text("")
    assert wrong(tmp_path / "file") == f"{tmp_path / 'file'}: not a model folder: it has no MANIFEST.json."


def test_a_run_folder_leads_to_its_model(folder: Path) -> None:
    assert wrong(folder.parent) == (
        f"{folder.parent}: not a model folder: it has no MANIFEST.json. Did you mean {folder}?"
    )


def test_the_kind_of_a_model_is_told_or_what_keeps_it_from_being_known(folder: Path) -> None:
    assert kind_of_model(folder) == "text"
    (folder / "config.toml").write_text("sed = 1")
    with pytest.raises(UserError, match=r"damaged: config\.toml is not what was saved"):
        kind_of_model(folder)

    def of_another_version(temporary: Path) -> None:
        (temporary / "config.toml").write_text("sed = 1")
        (temporary / "model.safetensors").write_bytes(b"")

    write_folder(folder, of_another_version)
    with pytest.raises(UserError, match=r"config\.toml: unknown setting `sed`"):
        kind_of_model(folder)


def test_a_checkpoint_is_no_model_folder(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    del manifest["files"]["model.safetensors"]
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    assert wrong(folder) == f"{folder}: not a model folder: it has no model.safetensors."


def test_a_manifest_that_names_no_file_proves_nothing(folder: Path) -> None:
    (folder / "MANIFEST.json").write_text('{"format": 1, "files": {}}')
    assert wrong(folder) == f"{folder}: damaged: MANIFEST.json names no file. Copy or train the model again."


def test_the_card_may_be_edited_or_taken_out_and_older_manifests_named_it(folder: Path) -> None:
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    manifest["files"]["README.md"] = {"bytes": 9, "sha256": "0" * 64}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with (folder / "README.md").open("a") as card:
        card.write("Licence: CC BY 4.0\n")
    open_bundle(folder)
    (folder / "README.md").unlink()
    open_bundle(folder)


def test_files_are_for_whom_the_folder_is(folder: Path) -> None:
    readers = folder.stat().st_mode & 0o666
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {readers}


def test_a_file_that_may_not_be_read_is_not_called_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, opened = folder / "model.safetensors", Path.open

    def refusing(path: Path, *words: Any, **more: Any) -> Any:
        if path == weights:  # root may read everything, and tests are run by root too
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *words, **more)

    monkeypatch.setattr(Path, "open", refusing)
    assert wrong(folder) == f"{weights}: no permission to read this file."


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "source.vocab", "target.vocab"])
def test_a_damaged_file_is_named(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for position in {0, len(content) // 2, len(content) - 1}:
        flipped = bytearray(content)
        flipped[position] ^= 1
        (folder / name).write_bytes(bytes(flipped))
        assert wrong(folder) == (
            f"{folder}: damaged: {name} is not what was saved (its SHA-256 differs). Copy or train the model again."
        )
    (folder / name).write_bytes(content[:-1])
    assert f"{name} is not what was saved" in wrong(folder)
    (folder / name).unlink()
    assert wrong(folder) == f"{folder}: damaged: {name} is missing. Copy or train the model again."


@pytest.mark.parametrize("manifest", ["", "{", "[]", "{}", '{"format": null}', '{"format": 1}', '{"format": []}'])
def test_a_damaged_manifest_is_said(folder: Path, manifest: str) -> None:
    (folder / "MANIFEST.json").write_text(manifest)
    assert wrong(folder) == f"{folder}: damaged: MANIFEST.json cannot be read. Copy or train the model again."


def test_every_flipped_byte_of_the_manifest_is_an_error_of_the_user_or_no_matter(folder: Path) -> None:
    content = (folder / "MANIFEST.json").read_bytes()
    for position in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[position] ^= 2
        (folder / "MANIFEST.json").write_bytes(bytes(flipped))
        try:
            open_bundle(folder)
        except UserError as error:
            assert str(error).startswith(str(folder))  # noqa: PT017  # either is right


def test_a_newer_folder_asks_for_a_newer_seqsmith(folder: Path) -> None:
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    (folder / "MANIFEST.json").write_text(json.dumps({**manifest, "format": 2}))
    assert wrong(folder) == (
        f"{folder}: written in format 2 by a newer seqsmith; this one reads up to 1. Update seqsmith."
    )


def resealed(folder: Path) -> Path:
    """Write a manifest that agrees with the files, as someone does who edits a model by hand."""

    def fill(temporary: Path) -> None:
        for path in folder.iterdir():
            if path.name != "MANIFEST.json":
                shutil.copy(path, temporary)

    write_folder(folder.with_name("resealed"), fill)
    return folder.with_name("resealed")


def test_settings_edited_by_hand_must_fit_the_weights(folder: Path) -> None:
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("embedding = 16", "embedding = 8"))
    made = resealed(folder)
    assert wrong(made).startswith(f"{made / 'model.safetensors'}: the weight ")
    assert wrong(made).endswith("by its settings.")


def test_settings_edited_by_hand_must_be_settings(folder: Path) -> None:
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("embedding = 16", "embeding = 16"))
    made = resealed(folder)
    assert "unknown setting `model.embeding`. Did you mean `embedding`?" in wrong(made)


def test_weights_must_be_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"something else")
    made = resealed(folder)
    assert wrong(made).startswith(f"{made / 'model.safetensors'}: not a file of weights: ")
