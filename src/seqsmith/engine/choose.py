"""Which engine answers: the fastest that can express the model and passes its check, or the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from seqsmith import runtime
from seqsmith.engine.files import FASTEST_FIRST, WEIGHTS, Kind, engine_of, lacks, missing_package
from seqsmith.engine.protocol import Engine
from seqsmith.errors import UserError
from seqsmith.model_folder import SAMPLE, ModelFolder

Wanted = Literal["auto", "torch", "torch-bf16", "ctranslate2", "onnx"]
WANTED: tuple[Wanted, ...] = ("auto", "torch", "torch-bf16", "ctranslate2", "onnx")

INSTALL = "pip install 'seqsmith[cpu]'"


@dataclass(frozen=True)
class Choice:
    """An engine, and a sentence that says why it is this one."""

    engine: Engine
    reason: str


def choose(
    folders: Sequence[ModelFolder],
    *,
    wanted: Wanted,
    device: Literal["auto", "cpu", "cuda"],
    threads: int | None,
    say: Callable[[str], None],
) -> Choice:
    """The engine for a model, or for several whose probabilities are averaged.

    `threads` are those within an operator of torch, and the batches that other engines answer at once. Raises UserError
    where the engine that is asked for cannot be had.
    """
    if wanted == "torch":
        return _torch(folders, device, threads, "as asked")
    obstacle = _obstacle(folders, device)
    if wanted != "auto":
        obstacle = obstacle or lacks(wanted, folders[0].settings)
        if obstacle is not None:
            raise UserError(f"engine: {wanted} cannot answer here: {obstacle}. Leave --engine out, or take torch.")
        package = missing_package(wanted)
        if package is not None:
            raise UserError(f"engine: {wanted} needs the package {package}, which is not installed: {INSTALL}.")
        try:
            engine, check = engine_of(wanted, folders[0], workers=runtime.threads(threads), say=say)
        except ImportError as error:
            raise UserError(f"engine: {wanted} cannot be loaded: {error}. Install it anew, or take torch.") from error
        reason = f"{wanted} answers with {WEIGHTS[wanted]}, as asked{'' if check is None else f': {check}'}."
        return Choice(engine, reason)
    if obstacle is not None:
        return _torch(folders, device, threads, obstacle)
    return _fastest(folders[0], device, threads, say)


def _obstacle(folders: Sequence[ModelFolder], device: Literal["auto", "cpu", "cuda"]) -> str | None:
    """What keeps every engine but torch from answering, in words, or None."""
    if len(folders) > 1:
        return "several models answer together"
    # torch is asked only where there is a driver for it, for asking takes longer than a first answer
    if device == "cuda" or (
        device == "auto" and runtime.may_have_gpu() and runtime.choose_device(device).type != "cpu"
    ):
        return "the GPU is torch's"
    return None


def _fastest(
    folder: ModelFolder, device: Literal["auto", "cpu", "cuda"], threads: int | None, say: Callable[[str], None]
) -> Choice:
    """The first that passes, or torch; the reason tells what was wrong with those before it."""
    passed_over = []
    for kind in FASTEST_FIRST:
        obstacle = lacks(kind, folder.settings) or _unproved(kind, folder)
        if obstacle is None:
            try:
                engine, check = engine_of(kind, folder, workers=runtime.threads(threads), say=say)
            except (UserError, ImportError) as error:  # torch needs nothing written, and is here
                obstacle = str(error).rstrip(".")
            else:
                assert check is not None
                if check.passed:
                    return Choice(engine, f"{kind} answers with {WEIGHTS[kind]}: {check}.")
                obstacle = str(check)
        passed_over.append(f"{kind}: {obstacle}")
    return _torch([folder], device, threads, "; ".join(passed_over))


def _unproved(kind: Kind, folder: ModelFolder) -> str | None:
    if not (folder.path / SAMPLE).exists():
        return f"the model carries no {SAMPLE} to check it on"
    package = missing_package(kind)
    if package is not None:
        return f"{package} is not installed ({INSTALL})"
    if kind == "torch-bf16" and not runtime.multiplies_faster_in_bf16():
        return "this machine multiplies no faster in bf16"
    return None


def _torch(
    folders: Sequence[ModelFolder], device: Literal["auto", "cpu", "cuda"], threads: int | None, reason: str
) -> Choice:
    from seqsmith.engine.pytorch import TorchEngine  # late: it brings torch

    if threads is not None:
        runtime.use_threads(threads)
    return Choice(TorchEngine.open(folders, runtime.choose_device(device)), f"torch answers ({reason}).")
