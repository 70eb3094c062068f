"""A model with a copy outlet says words of its source that neither vocabulary has."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

import reversal
from seqsmith import config
from seqsmith.batch import Batch, tokens
from seqsmith.bundle import Bundle, new_model
from seqsmith.engine.pytorch import TorchEngine
from seqsmith.engine.selfcheck import Pair, check
from seqsmith.featurise import Featuriser
from seqsmith.model_folder import ModelFolder
from seqsmith.objective.teacher import teacher_forced
from seqsmith.predictor import Predictor
from seqsmith.special import END, UNKNOWN
from seqsmith.text.codec import train_codec

TURNED = ("say that {} met {} here", "{1} knows {0} .")
GREETED = ("my name is {} today", "hello {} !")


def new_names(count: int, *, seed: int) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.sample("abcdefghijklmnopqrstuvwxyz", 7)).capitalize() for _ in range(count)]


def pairs(count: int, *, seed: int) -> list[tuple[str, str]]:
    """Sentences with names that are met once only."""
    names = iter(new_names(2 * count, seed=seed))
    rows = []
    for row in range(count):
        (source, target), two = (TURNED, GREETED)[row % 2], (next(names), next(names))
        rows.append((source.format(*two), target.format(*two)))
    return rows


def settings(kind: str = "words", **changes: Any) -> config.Settings:
    cut = {"tokeniser": {"kind": kind, "minimum_count": 2}}
    return reversal.settings(source=cut, target=cut, model=reversal.model("gru", width=32, copy_source=True), **changes)


def learnt(rows: list[tuple[str, str]], chosen: config.Settings) -> Featuriser:
    source, target = chosen.source, chosen.target
    assert isinstance(source, config.TextSource)
    texts = [list(side) for side in zip(*rows, strict=True)]
    return Featuriser(train_codec(texts[0], source), train_codec(texts[1], target)).copying(chosen)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A model that has learnt to greet."""
    chosen, rows = settings(), pairs(60, seed=1)
    featuriser = learnt(rows, chosen)
    torch.manual_seed(1)
    model = new_model(chosen, featuriser)
    texts = {"source": [source for source, _ in rows], "target": [target for _, target in rows]}
    batch = Batch(tokens(featuriser.sources(texts)), tokens(featuriser.targets(texts)), torch.arange(len(rows)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss = teacher_forced(model, batch, smoothing=0.1)
        (loss.loss_nats / loss.count).backward()
        optimizer.step()
    return Bundle(chosen, featuriser, model.eval())


def predictor(*bundles: Bundle) -> Predictor:
    engine = TorchEngine(tuple(each.model for each in bundles), torch.device("cpu"))
    return Predictor(engine, bundles[0].featuriser, bundles[0].settings)


def test_words_never_seen_are_copied_alone_and_beside_others(bundle: Bundle) -> None:
    rows, ours = pairs(40, seed=2), predictor(bundle)
    for beam in (1, 4):
        answers = ours.predict([source for source, _ in rows], beam=beam)
        assert [answer.text for answer in answers] == [target for _, target in rows]
        for answer in answers[:6]:
            alone = ours.predict([answer.source], beam=beam)[0]
            assert (alone.text, alone.score) == (answer.text, pytest.approx(answer.score, abs=1e-5))


def test_each_answer_of_a_list_says_words_of_its_own_source(bundle: Bundle) -> None:
    sources = [TURNED[0].format("Qxzy", "Vwuj"), GREETED[0].format("Kjq"), "hello hello"]
    ordinary = {word for row in pairs(2, seed=5) for text in row for word in text.split() if not word.istitle()}
    for answer in predictor(bundle).predict(sources, nbest=6, beam=12):
        for candidate in answer.nbest:
            assert set(candidate.text.split()) <= ordinary | set(answer.source.split())


def test_a_pair_is_scored_by_which_word_is_where(bundle: Bundle) -> None:
    source = TURNED[0].format("Qxzy", "Vwuj")
    targets = [TURNED[1].format(*names) for names in (("Qxzy", "Vwuj"), ("Vwuj", "Qxzy"), ("Else", "Other"))]
    ours = predictor(bundle)
    right, turned, strange = ours.score([source] * 3, targets)
    assert right > -2.0 > max(turned, strange)
    assert right == pytest.approx(ours.predict([source])[0].nbest[0].log_prob, abs=1e-4)
    found = ours.attention(source, targets[0])
    assert (found.source[2], found.source[4], found.target[0], found.target[2]) == ("▁Qxzy", "▁Vwuj", "▁Vwuj", "▁Qxzy")
    assert found.weight_TS[[0, 2]].argmax(1).tolist() == [4, 2]


def test_several_models_and_a_language_model_copy_too(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("hello Somebody !\nAda knows Bob .\n", encoding="utf-8")
    rows = pairs(10, seed=3)
    sources, targets = [source for source, _ in rows], [target for _, target in rows]
    for ours, changes in ((predictor(bundle, bundle), {}),
                          (predictor(bundle), {"language_model": str(tmp_path / "texts.txt")})):  # fmt: skip
        assert [answer.text for answer in ours.predict(sources, **changes)] == targets


def test_a_saved_model_copies_and_is_checked_by_what_it_says(bundle: Bundle, tmp_path: Path) -> None:
    rows = pairs(10, seed=4)
    bundle.save(tmp_path / "model", card="")
    opened = Predictor.open(tmp_path / "model", engine="torch", device="cpu")
    assert [answer.text for answer in opened.predict([source for source, _ in rows])] == [target for _, target in rows]
    sample = [Pair(source, target, target, None) for source, target in rows]
    found = check(opened.engine, ModelFolder.open(tmp_path / "model"), sample, shortlist=False)
    assert (found.same, found.engine) == (1.0, found.torch)


@pytest.mark.parametrize("kind", ["words", "symbols", "characters"])
def test_an_unknown_symbol_of_both_sides_has_a_number_and_is_read_back(kind: str) -> None:
    chosen = settings(kind)
    featuriser = learnt([("a a b b", "b b a a")], chosen)
    texts = {"source": ["a Z b Q Z"], "target": ["Q a Z X"]}
    (source,), (target,) = featuriser.sources(texts), featuriser.targets(texts)
    own = featuriser.text_source.size
    assert [id - own for id in source if id >= own] == [0, 1, 0]
    assert [id for id in target if id >= featuriser.target.size] == [own + 1, own]
    assert (UNKNOWN in source, target.count(UNKNOWN), target[-1]) == (False, 1, END)
    assert featuriser.text(target[:-1], texts["source"][0]) == "Q a Z \ufffd"
    assert featuriser.targets({"target": texts["target"]})[0].count(UNKNOWN) == 3  # of no source
    assert featuriser.text_source.unknown_share(source[:-1]) == 3 / (len(source) - 1)


def test_a_feature_that_is_unknown_is_never_copied() -> None:
    chosen = settings(data={"features": 3})
    codec = train_codec(["a a"], chosen.source, features=["N"])
    featuriser = Featuriser(codec, train_codec(["a a"], chosen.target)).copying(chosen)
    ids = featuriser.sources({"source": ["Z a"], "features": ["V"]})[0]
    assert [*ids[:2], ids[-1]] == [UNKNOWN, codec.size, END]


def test_sides_that_are_cut_in_two_ways_copy_known_pieces_alone() -> None:
    chosen = reversal.settings(
        source={"tokeniser": "words"}, target={"tokeniser": "characters"}, model={"copy_source": True}
    )
    assert learnt([("ab", "ab")], chosen).first_copied is None
    assert learnt([("ab", "ab")], reversal.settings()).first_copied is None
    copies = learnt([("ab", "ab")], settings())
    assert not copies.same_ids(copies.copying(reversal.settings()))
