"""The way to a dev BLEU: seqsmith with its defaults and OpenNMT-py with the settings published for this data.

    SEQSMITH_DATA=... python bench/race.py seqsmith opennmt --minutes 40

Multi30k bpe-en-de, a Transformer, greedy answers to all 1,014 dev sources, BLEU on the pieces as they stand.
OpenNMT-py has the model and training of Wu et al. (2021, "Good for Misconceived Reasons"): 4 + 4 layers of width 128,
feed-forward 256, 4 heads, dropout 0.3, label smoothing 0.1, batches of 4,096 tokens, rate rising to 0.005 in 2,000
updates and then falling with their root. One after the other with one thread each; what counts is the CPU time of
training, so work beside is little help or harm. seqsmith scores while it trains, and that time counts; OpenNMT-py's
checkpoints are scored afterwards, for nothing. Rows go to the file that --out names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import environments
import machine
import sacrebleu

Seconds = float
CHECK_EVERY = 200  # updates between two checkpoints of OpenNMT-py
PUBLISHED = {
    "encoder_type": "transformer",
    "decoder_type": "transformer",
    "enc_layers": 4,
    "dec_layers": 4,
    "heads": 4,
    "hidden_size": 128,
    "word_vec_size": 128,
    "transformer_ff": 256,
    "position_encoding": True,
    "share_embeddings": True,
    "share_decoder_embeddings": True,
    "param_init_glorot": True,
    "param_init": 0,
    "dropout": [0.3],
    "attention_dropout": [0.0],
    "label_smoothing": 0.1,
    "batch_size": 4096,
    "batch_type": "tokens",
    "normalization": "tokens",
    "bucket_size": 29_000,
    "optim": "adam",
    "adam_beta2": 0.98,
    "decay_method": "noam",
    "warmup_steps": 2000,
    "learning_rate": 0.005 * (128 * 2000) ** 0.5,  # noam divides by both roots
}
STUBS = (  # modules that unused transforms import; and its checkpoints hold more than weights, which new torches mind
    "import functools, importlib.machinery, runpy, sys, types, torch\n"
    "torch.load = functools.partial(torch.load, weights_only=False)\n"
    "for name in ('spacy', 'fasttext'):\n"
    "    sys.modules[name] = types.ModuleType(name)\n"
    "    sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)\n"
    "module, sys.argv = sys.argv[1], sys.argv[1:]\n"
    "runpy.run_module(module, run_name='__main__', alter_sys=True)\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools", nargs="+", choices=RUNNERS)
    parser.add_argument("--minutes", type=float, default=40.0, help="of CPU time, at most, for each")
    machine.add_options(parser)
    options = parser.parse_args()
    real = os.environ.get("SEQSMITH_DATA") or sys.exit("race: set SEQSMITH_DATA to the folder that holds the data.")
    data = Path(real) / "multi30k/bpe-en-de"
    for tool in options.tools:
        with TemporaryDirectory() as folder:
            for row in RUNNERS[tool](data, Path(folder), 60 * options.minutes):
                machine.keep({"race": "multi30k-bpe", "tool": tool, **row}, options, load=os.getloadavg()[0])


def seqsmith(data: Path, folder: Path, most: Seconds) -> Iterator[machine.Row]:
    """Defaults, but for one thread; its own validations tell."""
    train = [str(data / name) for name in ("train.en", "train.de")]
    dev = [word for name in ("valid.en", "valid.de") for word in ("--dev", str(data / name))]
    settings = ["--out", str(folder / "run"), "--quiet", "--set", "train.threads=1"]
    command = [sys.executable, "-m", "seqsmith", "train", *train, *dev, *settings]
    journal, seen = folder / "run" / "journal.jsonl", 0
    for spent in _watched(command, folder, most):
        events = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
        scores = [event for event in events if event["event"] == "validation"]
        for event in scores[seen:]:
            yield {"update": event["update"], "cpu_seconds": round(spent), "bleu": round(event["value"], 2)}
        seen = len(scores)


def opennmt(data: Path, folder: Path, most: Seconds) -> Iterator[machine.Row]:
    """Published settings; each checkpoint translates the dev sources when all is done."""
    counts: dict[str, int] = {}
    for name in ("train.en", "train.de"):
        for word in (data / name).read_text(encoding="utf-8").split():
            counts[word] = counts.get(word, 0) + 1
    words = sorted(counts, key=lambda word: -counts[word])
    (folder / "words").write_text("".join(f"{word}\t{counts[word]}\n" for word in words), encoding="utf-8")
    settings = {
        **PUBLISHED,
        "save_data": str(folder / "data"),
        "save_model": str(folder / "model"),
        "src_vocab": str(folder / "words"),
        "tgt_vocab": str(folder / "words"),
        "share_vocab": True,
        "data": {"corpus_1": {"path_src": str(data / "train.en"), "path_tgt": str(data / "train.de")}},
        "train_steps": 100_000,
        "save_checkpoint_steps": CHECK_EVERY,
        "valid_steps": 10**6,
        "num_workers": 0,
        "seed": 1,
    }
    (folder / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML
    python = str(environments.PEERS["opennmt"].python)
    found: dict[Path, float] = {}
    command = [python, "-c", STUBS, "onmt.bin.train", "-config", str(folder / "config.yaml")]
    for spent in _watched(command, folder, most):
        for path in folder.glob("model_step_*.pt"):
            found.setdefault(path, spent)
    reference = (data / "valid.de").read_text(encoding="utf-8").splitlines()
    for path, spent in sorted(found.items(), key=lambda item: item[1]):
        output = folder / "answers"
        words_of = ["-model", str(path), "-src", str(data / "valid.en"), "-output", str(output), "-beam_size", "1"]
        subprocess.run(
            [python, "-c", STUBS, "onmt.bin.translate", *words_of, "-batch_size", "64"],
            check=True,
            env=_one_thread(),
            stdout=subprocess.DEVNULL,
        )
        bleu = sacrebleu.corpus_bleu(
            output.read_text(encoding="utf-8").splitlines(), [reference], tokenize="none", force=True
        )
        yield {"update": int(path.stem.split("_")[-1]), "cpu_seconds": round(spent), "bleu": round(bleu.score, 2)}


RUNNERS: dict[str, Callable[[Path, Path, Seconds], Iterator[machine.Row]]] = {"seqsmith": seqsmith, "opennmt": opennmt}


def _watched(command: list[str], folder: Path, most: Seconds) -> Iterator[Seconds]:
    """Run it, and tell its CPU time every second until it ends or has taken the most."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=_one_thread(), stdout=log, stderr=log)
        try:
            while process.poll() is None:
                spent = _cpu_seconds(process.pid)
                yield spent
                if spent > most:
                    break
                time.sleep(1)
            if process.returncode:
                sys.exit(f"race: {command[0]} failed:\n{(folder / 'log').read_text()[-3000:]}")
        finally:
            process.terminate()
            process.wait()


def _cpu_seconds(pid: int) -> Seconds:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


if __name__ == "__main__":
    main()
