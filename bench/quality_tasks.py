"""The public tasks that `quality.py` trains on: their files, and what is set for them.

Everything that a task does not set is chosen by the tool, as it is for any user.
"""

from __future__ import annotations

from dataclasses import dataclass

import fsdd

LANGUAGES = ("fre", "hin", "ice", "kor", "vie")


@dataclass(frozen=True)
class Task:
    """A kind of experiment: data sets that share one setting."""

    name: str
    sets: tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]  # (name, train, dev, test) files
    score: str  # of `seqsmith evaluate`
    settings: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # scores that have a row of their own
    parts: bool = False  # dev and test are parts of one table of series
    fsdd: bool = False  # the files are manifests that fsdd.py writes


def _g2p(name: str, *settings: str) -> Task:
    folder = "sigmorphon2020_g2p"
    sets = tuple(
        (language, *((f"{folder}/{language}_{part}.tsv",) for part in ("train", "dev", "test")))
        for language in LANGUAGES
    )
    return Task(name, sets, "ser", settings)


def _etth1(horizon: int, family: str) -> Task:
    """The published protocol: 12, 4 and 4 months of 30 days, standardised, all seven columns, windows at every step."""
    file = ("ett/ETTh1.csv",)
    settings = ("series.split_rows=[8640,2880,2880]", f"series.horizon={horizon}", f"model.family={family}")
    return Task(f"etth1-{horizon}-{family}", (("ETTh1", file, (), file),), "mse", settings, parts=True)


def _multi30k(name: str, *settings: str) -> Task:
    parts = tuple(
        tuple(f"multi30k/bpe-en-de/{part}.{language}" for language in ("en", "de"))
        for part in ("train", "valid", "test.2016")
    )
    return Task(name, (("en-de", *parts),), "bleu", settings)


def _fsdd(name: str, *, tested: bool = True) -> tuple:
    train, dev, test = ((f"{name}_{part}.tsv",) for part in ("train", "dev", "test"))
    return name, train, dev, test if tested else ()


INFLECTION = tuple(
    (language, *((f"sigmorphon2020_inflection/{language}.{part}",) for part in ("trn", "dev", "tst")))
    for language in ("mlt", "kon", "ceb", "tgl")
)
RAW = tuple(
    tuple(f"multi30k/raw/{part}.{language}" for language in ("en", "de"))
    for part in ("train", "val", "test_2016_flickr")
)
TASKS = {
    task.name: task
    for task in (
        Task(
            "scan",
            (("simple", ("scan/simple_train.tsv",), (), ("scan/simple_test.tsv",)),),
            "exact_match",
            (  # as published (Lake & Baroni 2018): two layers of 200, no attention, dropout 0.5, one command an update
                *("model.encoder.layers=2", "model.encoder.width=200", "model.encoder.dropout=0.5"),
                *("model.decoder.layers=2", "model.decoder.width=200", "model.decoder.dropout=0.5"),
                *("model.decoder.attention=none", "model.embedding=200", "train.batch_tokens=1", "train.rate=0.001"),
                *("train.updates=80000", "train.early_stop=0", "train.precision=fp32"),
            ),
        ),
        _g2p("g2p-lstm", "model.family=lstm"),
        _g2p("g2p-transformer", "model.family=transformer"),
        _multi30k(  # more dropout, twice the updates and longer answers than the tool chooses
            *("multi30k-transformer", "model.family=transformer", "train.epochs=60", "search.length_penalty=1.2"),
            *("model.encoder.dropout=0.3", "model.decoder.dropout=0.3"),
        ),
        _multi30k("multi30k-recurrent", "model.family=gru"),
        Task("multi30k-raw", (("en-de", *RAW),), "bleu", also=("chrf",)),
        Task("inflection", INFLECTION, "exact_match", ("data.source=1", "data.target=2", "data.features=3")),
        Task(
            "tatoeba",
            (("zh-en", ("tatoeba_cmn_eng/train.tsv",), ("tatoeba_cmn_eng/dev.tsv",), ()),),
            "bleu",
            ("data.source=2", "data.target=1"),
            also=("chrf",),
        ),
        Task("an4", (("an4", ("an4_mfcc/train.tsv",), ("an4_mfcc/dev.tsv",), ()),), "wer"),
        Task("fsdd-connected", (_fsdd("connected", tested=False),), "wer", fsdd=True),
        Task("fsdd-speaker", tuple(map(_fsdd, fsdd.SPEAKERS)), "wer", fsdd=True),
        *(_etth1(horizon, family) for horizon in (24, 96) for family in ("lstm", "gru", "transformer")),
    )
}
