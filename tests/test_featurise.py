"""Batches are pure functions: of the data, the seed, the epoch and their number, and of nothing else."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import reversal
from seqsmith import config
from seqsmith.batches import TrainingBatches
from seqsmith.data.plan import plan_epoch
from seqsmith.data.prepare import encode, gather
from seqsmith.featurise import Featuriser
from seqsmith.special import END, UNKNOWN
from seqsmith.text.codec import train_codec
from seqsmith.text.columns import roles

WORDS = ("forge", "model", "unforgettable", "sequence", "remodelling", "to", "consequences")
PIECES = {"kind": "sentencepiece", "vocabulary": 320}


@pytest.fixture
def corpus(tmp_path: Path) -> config.Corpus:
    chance = random.Random(1)
    rows = [
        [" ".join(chance.choices(WORDS, k=3)), "".join(chance.choices(reversal.DIGITS, k=9)), chance.choice("NV")]
        for _ in range(40)
    ]
    return config.Corpus(path=reversal.write(tmp_path / "train.tsv", rows))


def new_batches(
    corpus: config.Corpus,
    cache: Path,
    *,
    seed: int = 1,
    epoch: int = 0,
    budget: int = 100,
    sampling: float = 0.0,
    features: int | None = None,
) -> TrainingBatches:
    """The batches of an epoch, all the way from the file."""
    settings = reversal.settings(
        seed=seed,
        data={} if features is None else {"features": features},
        source={"tokeniser": {**PIECES, "sampling": sampling}},
        target={"tokeniser": {**PIECES, "sampling": sampling}},
        train={"batch_tokens": budget},
    )
    gathered = gather([corpus], roles(settings.data), settings.data, cache)
    rows = np.arange(len(gathered))
    texts = {role: column.texts(rows) for role, column in gathered.text.items()}
    featuriser = Featuriser(
        train_codec(texts["source"], settings.source, features=texts.get("features", [])),
        train_codec(texts["target"], settings.target),
    )
    encoded = encode(gathered, rows, featuriser.columns(settings.data), key="test", cache=cache)
    plan = plan_epoch(encoded.source.lengths, encoded.target.lengths, batch_tokens=budget, seed=seed, epoch=epoch)
    return TrainingBatches(encoded, plan, featuriser, settings, epoch)


def contents(batches: TrainingBatches) -> list[Any]:
    """Everything in all batches, in order."""
    tensors: list[tuple[Tensor, ...]] = [
        (batch.example_B, batch.source.id_BL, batch.source.valid_BL, batch.target.id_BL, batch.target.position_P)
        for batch in (batches[index] for index in range(len(batches)))
        if batch.target is not None
    ]
    return [[tensor.tolist() for tensor in batch] for batch in tensors]


def by_example(batches: TrainingBatches) -> dict[int, tuple[list[int], list[int]]]:
    """The ids of both sides of each example."""
    found = {}
    for index in range(len(batches)):
        batch = batches[index]
        assert batch.target is not None
        for row, example in enumerate(batch.example_B.tolist()):
            sides = [side.id_BL[row][side.valid_BL[row]].tolist() for side in (batch.source, batch.target)]
            found[example] = (sides[0], sides[1])
    return found


# ------------------------------------------------------------------------------------------------ batches


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_a_batch_is_a_function_of_data_seed_epoch_and_index(
    corpus: config.Corpus, tmp_path: Path, sampling: float
) -> None:
    one = new_batches(corpus, tmp_path / "cache", sampling=sampling)
    other = new_batches(corpus, tmp_path / "another cache", sampling=sampling)
    assert other.encoded.digest == one.encoded.digest
    expected = contents(one)
    torch.rand(3)
    random.random()
    assert contents(other) == expected
    last_first = [other[index].source.id_BL.tolist() for index in reversed(range(len(other)))]
    assert last_first == [batch[1] for batch in reversed(expected)]
    for change in ({"seed": 2}, {"epoch": 1}):
        assert contents(new_batches(corpus, tmp_path / "cache", sampling=sampling, **change)) != expected


def test_every_example_is_in_one_batch_with_the_ids_of_its_text(corpus: config.Corpus, tmp_path: Path) -> None:
    batches = new_batches(corpus, tmp_path)
    found = by_example(batches)
    assert sorted(found) == list(range(40))
    for example, (source, target) in found.items():
        texts = {
            "source": [batches.encoded.text(example, "source")],
            "target": [batches.encoded.text(example, "target")],
        }
        assert source == batches.featuriser.sources(texts)[0]
        assert target == batches.featuriser.targets(texts)[0]
        assert source[-1] == target[-1] == END


def test_a_sampled_cut_is_a_function_of_seed_epoch_and_example_alone(corpus: config.Corpus, tmp_path: Path) -> None:
    expected = by_example(new_batches(corpus, tmp_path, sampling=0.3))
    assert by_example(new_batches(corpus, tmp_path, sampling=0.3, budget=37)) == expected  # in other company
    for change in ({"seed": 2}, {"epoch": 1}):
        changed = by_example(new_batches(corpus, tmp_path, sampling=0.3, **change))
        different = [example for example in expected if changed[example] != expected[example]]
        assert len(different) > 5


def test_batches_that_are_cut_anew_have_little_padding(corpus: config.Corpus, tmp_path: Path) -> None:
    batches = new_batches(corpus, tmp_path, sampling=0.3, budget=60)
    rows = [len(batches.plan[index]) for index in range(len(batches))]
    assert len(rows) > 3
    targets = [batches[index].target for index in range(len(batches))]
    assert [len(target.id_BL) for target in targets] == rows  # each has as many examples as were planned
    real = sum(target.count for target in targets)
    dealt = sum(target.id_BL.numel() for target in targets)
    ids = by_example(batches)
    planned = sum(
        count * max(len(ids[example][1]) for example in batches.plan[index].tolist())
        for index, count in enumerate(rows)
    )
    assert dealt - real < 0.6 * (planned - real)


@pytest.mark.parametrize("together", [1, 2, 3])
def test_batches_are_dealt_among_those_in_a_row(
    corpus: config.Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    batches = new_batches(corpus, tmp_path, sampling=0.3)
    monkeypatch.setattr("seqsmith.batches._DEALT_TOKENS", together * 100)
    for first in range(0, len(batches), together):
        row = range(first, min(first + together, len(batches)))
        planned = sorted(np.concatenate([batches.plan[index] for index in row]).tolist())
        assert sorted(torch.cat([batches[index].example_B for index in row]).tolist()) == planned


def test_a_sampled_cut_is_another_way_to_write_the_same_text(corpus: config.Corpus, tmp_path: Path) -> None:
    plain = by_example(new_batches(corpus, tmp_path))
    batches = new_batches(corpus, tmp_path, sampling=0.3)
    differ = 0
    for example, (source, target) in by_example(batches).items():
        assert batches.featuriser.source.decode(source) == batches.encoded.text(example, "source")
        assert batches.featuriser.target.decode(target) == batches.encoded.text(example, "target")
        assert source[-1] == target[-1] == END
        differ += (source, target) != plain[example]
    assert differ > 5


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_features_stand_before_the_source(corpus: config.Corpus, tmp_path: Path, sampling: float) -> None:
    batches = new_batches(corpus, tmp_path, sampling=sampling, features=3)
    codec = batches.featuriser.source
    for example, (source, _) in by_example(batches).items():
        assert codec.pieces(source[:1]) == [batches.encoded.text(example, "features")]
        assert source[0] >= codec.tokeniser.size
        assert all(number < codec.tokeniser.size for number in source[1:])


# ------------------------------------------------------------------------------------------------ vocabularies


def test_vocabularies_come_back_as_they_were_saved(tmp_path: Path) -> None:
    made = reversal.bundle(features="NV")
    made.featuriser.save(tmp_path)
    opened = Featuriser.open(tmp_path, made.settings)
    texts = {"source": ["0123", "9", "x"], "features": ["N", "N;V", ""], "target": ["1", "22", "x"]}
    assert opened.sources(texts) == made.featuriser.sources(texts)
    assert opened.targets(texts) == made.featuriser.targets(texts)
    assert opened.same_ids(made.featuriser)


def test_ids_are_the_same_only_where_everything_is() -> None:
    plain = reversal.bundle().featuriser
    assert plain.same_ids(reversal.bundle(kind="gru", seed=2).featuriser)
    for other in (
        reversal.bundle(digits="012345678"),
        reversal.bundle(digits="0123456798x"),
        reversal.bundle(features="N"),
        reversal.bundle(source={"normalise": "nfd"}),
        reversal.bundle(source={"lowercase": True}),
        reversal.bundle(target={"lowercase": True}),
        reversal.bundle(target={"tokeniser": "bytes"}),
    ):
        assert not plain.same_ids(other.featuriser)
        assert not other.featuriser.same_ids(plain)


def test_the_digest_tells_apart_what_gives_other_ids() -> None:
    made = [
        reversal.bundle(),
        reversal.bundle(digits="012"),
        reversal.bundle(features="N"),
        reversal.bundle(source={"lowercase": True}),
        reversal.bundle(target={"lowercase": True}),
        reversal.bundle(source={"normalise": "nfkc"}),
        reversal.bundle(model={"copy_source": True}),
    ]
    digests = [bundle.featuriser.digest() for bundle in [*made, reversal.bundle(seed=9)]]
    assert len(set(digests[:-1])) == len(made)
    assert digests[-1] == digests[0]


def test_a_copied_symbol_is_the_one_that_looks_the_same() -> None:
    settings = reversal.settings()
    source = train_codec(["abc0"], settings.source, features=["b", "N"])
    target = train_codec(["xcb"], settings.target)
    points = Featuriser(source, target).target_of_source()
    assert len(points) == source.size
    assert points[: END + 1] == list(range(END + 1))
    look = dict(zip(source.pieces(range(source.tokeniser.size)), points, strict=False))
    assert target.pieces([look["b"], look["c"]]) == ["b", "c"]
    assert look["a"] == look["0"] == UNKNOWN
    assert points[source.tokeniser.size :] == [UNKNOWN, UNKNOWN]  # a feature, even one that is called b
