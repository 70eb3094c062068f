"""The peers: what each needs to be installed, what it lacks, how it was adapted; an environment for each of them.

Each has its own virtual environment under bench/.peers/. Torch is large and is the same for all, so it is installed
once, beside them, and each environment has that folder after its own on its path. Where packages come from is pip's own
configuration. A peer whose requirements contradict this torch is installed with --no-deps and what it imports is named
here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".peers"
SHARED = ("torch==2.13.0", "numpy", "setuptools<81", "wheel")
_RECURRENT = ("R", "Rif", "C")


@dataclass(frozen=True)
class Peer:
    """Another tool, as its users get it."""

    name: str
    package: str  # as the index calls it
    adapted: str  # how, in words
    needs: tuple[str, ...] = ()  # installed with what they require
    alone: bool = False  # the package itself is installed without what it requires
    lacks: dict[str, str] = field(default_factory=dict)  # shapes that it has not, and why

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def driver(self) -> Path:
        return HERE / "peers" / f"run_{self.name}.py"


_OPENNMT = (
    *("configargparse", "ctranslate2", "tensorboard", "flask", "waitress", "pyonmttok", "pyyaml", "sacrebleu"),
    *("rapidfuzz", "pyahocorasick", "six", "sentencepiece"),
)
PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "opennmt",
            "OpenNMT-py==3.5.1",
            "installed without its requirements, which ask for an older torch; spacy and fasttext, which only unused "
            "transforms import, are empty modules",
            needs=_OPENNMT,
            alone=True,
        ),
        Peer(
            "eole",
            "eole==0.6.4",
            "installed without its requirements; packages that it imports and does not declare are added",
            needs=(
                *_OPENNMT,
                *("pydantic", "huggingface_hub", "safetensors", "rich"),
                *("tokenizers", "aiohttp", "requests", "uvicorn", "fastapi"),
            ),
            alone=True,
        ),
        Peer(
            "joeynmt",
            "joeynmt==2.3.0",
            "installed without its requirements; its learning rate rises and falls, as it must have a schedule; its "
            "budget of 2,048 is of padded tokens, and it has no buckets of length",
            needs=(
                "pyyaml",
                "sacrebleu",
                "sacremoses",
                "subword-nmt",
                "sentencepiece",
                "tensorboard",
                "datasets",
                "matplotlib",
                "importlib_metadata",
                "packaging",
            ),
            alone=True,
        ),
        Peer(
            "yoyodyne",
            "yoyodyne==0.5.27",
            "batches of as many sentences as hold 2,048 tokens in the mean, as it has no budget of tokens; its LSTM "
            "always feeds the last context vector in, at C too",
            needs=(
                "PyYAML",
                "jsonargparse[signatures]",
                "lightning",
                "maxwell",
                "omegaconf",
                "rich",
                "torchmetrics",
                "wandb",
            ),
            alone=True,
            lacks={"R": "its attentive LSTM always feeds the last context vector in: see Rif and C"},
        ),
        Peer(
            "transformers",
            "transformers==5.23.0",
            "MarianMT's classes with new weights, Seq2SeqTrainer, sentences grouped by length; batches of as many "
            "sentences as hold 2,048 tokens in the mean, as it has no budget of tokens",
            needs=("accelerate",),
            lacks=dict.fromkeys(_RECURRENT, "has no recurrent encoder-decoder"),
        ),
    )
}
NOT_SET_UP = {
    "fairseq": "its last release is of 2022 and must be compiled; its users report that Python 3.11 refuses its tables "
    "of settings; not tried here",
    "Sockeye": "only because nobody has written a driver for it yet",
}


def install(peer: Peer) -> str | None:
    """Make the environment unless it is there; returns what went wrong."""
    wanted = json.dumps([SHARED, peer.package, peer.needs, peer.alone])
    stamp = peer.folder / "installed.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return None
    try:
        shared = _environment(ENVIRONMENTS / "torch")
        _pip(ENVIRONMENTS / "torch", *SHARED)
        own = _environment(peer.folder)
        (own / "shared.pth").write_text(f"{shared}\n")
        if peer.needs:
            _pip(peer.folder, *peer.needs)
        _pip(peer.folder, *["--no-deps"] * peer.alone, peer.package)
    except subprocess.CalledProcessError as error:
        return last_line(error.stderr or error.stdout) or f"{error}"
    stamp.write_text(wanted)
    return None


def _environment(folder: Path) -> Path:
    """A virtual environment with this Python -> where its packages go."""
    if not (folder / "bin" / "pip").exists():
        _run(sys.executable, "-m", "venv", str(folder))
    return next(folder.glob("lib/python*/site-packages"))


def _pip(folder: Path, *words: str) -> None:
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *words)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


def last_line(text: str) -> str:
    """The last thing that a program said, which is mostly its error."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1][:200]
