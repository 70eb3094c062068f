"""What an engine is built of: made once from a model's weights, and kept beside the model under a digest of both.

Another kind of CPU multiplies otherwise: there it is built and checked anew. Where the model folder cannot be written
to, it is kept in the user's cache. With it stands what came of the check.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, assert_never

from seqsmith import config, runtime
from seqsmith.engine.expressible import ctranslate2_lacks, onnx_lacks
from seqsmith.engine.protocol import Engine
from seqsmith.engine.selfcheck import Check, check_both, read_check, read_sample
from seqsmith.engine.weights import read_weights
from seqsmith.errors import UserError
from seqsmith.folder import NotWritten, check_folder, why, write_folder
from seqsmith.model_folder import ModelFolder
from seqsmith.search.shortlist import Shortlist

Kind = Literal["ctranslate2", "onnx", "torch-bf16"]
FASTEST_FIRST: tuple[Kind, ...] = ("ctranslate2", "onnx", "torch-bf16")
WEIGHTS = {"ctranslate2": "8-bit weights", "onnx": "8-bit weights", "torch-bf16": "weights in bf16"}

_FORMAT = 4  # of what we write; files of another format are built anew
_CHECK = "check.json"
_PACKAGES = {"ctranslate2": ("ctranslate2",), "onnx": ("onnxruntime", "onnx"), "torch-bf16": ("torch",)}


def missing_package(kind: Kind) -> str | None:
    """The first package that an engine needs and that is not installed, or None."""
    for package in _PACKAGES[kind]:
        try:
            version(package)
        except PackageNotFoundError:
            return package
    return None


def lacks(kind: Kind, settings: config.Settings) -> str | None:
    """What an engine lacks to run a model, in words, or None."""
    match kind:
        case "ctranslate2":
            return ctranslate2_lacks(settings)
        case "onnx":
            return onnx_lacks(settings)
        case "torch-bf16":
            return None if settings.source.kind == "text" else "it takes text only"
    assert_never(kind)


def engine_of(
    kind: Kind, folder: ModelFolder, *, workers: int, say: Callable[[str], None]
) -> tuple[Engine, Check | None]:
    """The engine over its files, which are built and checked where they do not stand yet.

    There is no check where the model carries no sample of dev. Raises UserError where nothing can be written.
    """
    place = _place(kind, folder)
    if check_folder(place) is not None:
        say(f"Building the files of the engine {kind} in {place}, once for this kind of CPU.")
        try:
            write_folder(place, lambda temporary: _build(kind, folder, temporary, workers=workers))
        except NotWritten as error:
            raise UserError(
                f"{place}: the files of the engine {kind} could not be written: {why(error.__cause__)}. "
                "Free some space, name another folder in SEQSMITH_CACHE, or take --engine torch."
            ) from error
    found = read_check(place / _CHECK) if (place / _CHECK).exists() else None
    listed = found is not None and found.shortlist
    return _open(kind, folder, place, workers=workers, listed=listed), found


def _place(kind: Kind, folder: ModelFolder) -> Path:
    packages = [(package, version(package)) for package in _PACKAGES[kind]]
    depends = json.dumps([_FORMAT, packages, runtime.arithmetic(), folder.fingerprints()], sort_keys=True)
    home = folder.path if os.access(folder.path, os.W_OK) else runtime.cache_folder()
    name = kind if kind == "torch-bf16" else f"{kind}-int8"
    return home / "engines" / f"{name}-{hashlib.sha256(depends.encode()).hexdigest()[:16]}"


def _build(kind: Kind, folder: ModelFolder, place: Path, *, workers: int) -> None:
    match kind:
        case "ctranslate2":
            from seqsmith.engine import ctranslate2_model

            largest = ctranslate2_model.largest_weight()
            ctranslate2_model.write_model(read_weights(folder), folder.settings, place, largest=largest)
            if folder.shortlist is not None:
                ctranslate2_model.write_shortlist(Shortlist.open(folder.shortlist), place)
        case "onnx":
            from seqsmith.engine import onnx_model

            largest, listed = onnx_model.largest_weight(), folder.shortlist is not None
            onnx_model.write_model(read_weights(folder), folder.settings, place, shortlist=listed, largest=largest)
        case "torch-bf16":
            pass  # the model's own weights do, and what came of the check is all that is kept
        case _:
            assert_never(kind)
    pairs = read_sample(folder)
    if pairs:
        engine = _open(kind, folder, place, workers=workers, listed=False)
        # 8-bit inputs share a scale with their neighbours in a batch, and with some engines their shortlists
        check_both(engine, folder, pairs, one_by_one=kind != "torch-bf16").save(place / _CHECK)


def _open(kind: Kind, folder: ModelFolder, place: Path, *, workers: int, listed: bool) -> Engine:
    """`listed` says whether it uses a shortlist where the settings of the search leave that open."""
    # Imported here, for only one of them is needed, and each is an extra.
    match kind:
        case "ctranslate2":
            from seqsmith.engine.ctranslate2 import CTranslate2Engine

            return CTranslate2Engine.open(place, workers=workers, listed=listed)
        case "onnx":
            from seqsmith.engine.onnx import OnnxEngine

            shortlist = None if folder.shortlist is None else Shortlist.open(folder.shortlist)
            return OnnxEngine.open(place, workers=workers, shortlist=shortlist, listed=listed)
        case "torch-bf16":
            from seqsmith.engine.pytorch import TorchEngine

            runtime.use_threads(workers)
            return TorchEngine.open([folder], runtime.choose_device("cpu"), precision="bf16", listed=listed)
    assert_never(kind)
