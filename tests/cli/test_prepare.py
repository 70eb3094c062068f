"""What is split off for dev, and what validation looks at of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqsmith import config
from seqsmith.cli.prepare import Pairs, read_pairs
from seqsmith.config import Corpus, Data
from seqsmith.data.prepare import gather
from seqsmith.errors import UserError
from seqsmith.text.columns import roles


def test_a_part_of_a_sorted_dev_set_is_from_all_over_it_and_its_columns_agree(tmp_path: Path) -> None:
    path = tmp_path / "dev.tsv"
    path.write_text("".join(f"{row:02d}\tt{row:02d}\n" for row in range(50)), encoding="utf-8")
    dev = gather([Corpus(path=str(path))], roles(Data()), Data(), tmp_path / "cache")
    pairs = Pairs(dev, np.arange(0), dev, np.arange(len(dev)))
    for most in (1, 3, 7, 26, 49):
        sources, targets = pairs.dev_texts("source", most), pairs.dev_texts("target", most)
        assert len(sources) == most
        assert targets == ["t" + source for source in sources]
        gaps = np.diff([int(source) for source in sources], append=50)
        assert gaps.max() - gaps.min() <= 1
    assert pairs.dev_texts("source", 50) == pairs.dev_texts("source") == [f"{row:02d}" for row in range(50)]
    assert pairs.dev_texts("features", 3) == []


TAGGED = {"source": 1, "target": 2, "features": 3}


def _split(rows: list[tuple[str, ...]], data: dict[str, Any], **sides: dict[str, Any]) -> tuple[Pairs, str]:
    """The pairs of a file of these rows, in the working folder, and what was said last."""
    Path("all.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    told: list[str] = []
    table = {"data": {"train": [{"path": "all.tsv"}], **data}, **sides}
    return read_pairs(config.draft(table, where="settings"), say=told.append), told[-1]


def _seen(pairs: Pairs, role: str) -> tuple[set[str], set[str]]:
    return set(pairs.train_texts(role)), set(pairs.dev_texts(role))


def test_the_forms_of_a_word_stay_together_whatever_their_features() -> None:
    rows = [(f"w{word:02d}", f"w{word:02d}-{form}", f"V;{form}") for word in range(60) for form in range(4)]
    pairs, told = _split(rows, TAGGED)
    assert told.startswith("No dev set given: split off 24 of the 240 pairs (seed 1); no source or target of")
    train, dev = _seen(pairs, "source")
    assert not train & dev
    assert len(dev) == 6


def test_few_words_with_many_forms_are_split_by_their_forms_and_it_is_said() -> None:
    pairs, told = _split([(f"w{n % 4}", f"form {n}", f"V;{n}") for n in range(200)], TAGGED)
    assert told.endswith("(seed 1); no target (the sources are a few that repeat) of theirs is left in training.")
    train, dev = _seen(pairs, "target")
    assert not train & dev


def test_words_that_all_share_forms_need_a_dev_set_of_their_own() -> None:
    rows = [(f"w{n // 2}", f"form {(n + 1) // 2 % 100}", f"V;{n}") for n in range(200)]
    with pytest.raises(UserError, match=r"the largest group that hangs together has 200 pairs\)\. Give a dev set"):
        _split(rows, TAGGED)


@pytest.mark.parametrize(
    ("side", "twins"),
    [
        ({"lowercase": True}, ("Ab{}", "aB{}")),
        ({"normalise": "nfkc"}, ("ﬁ{}", "fi{}")),
        ({"normalise": "nfd"}, ("é{}", "e\u0301{}")),
        ({"normalise": "nfd"}, ("가{}", "\u1100\u1161{}")),
        ({}, ("é{}", "e\u0301{}")),  # the recipe may yet choose nfd
    ],
)
def test_what_a_model_sees_as_one_text_is_on_one_side_of_the_split(
    side: dict[str, Any], twins: tuple[str, str]
) -> None:
    rows = [(twin.format(n), f"target {twin} {n}") for n in range(100) for twin in twins]
    pairs, _ = _split(rows, {}, source=side)
    assert [len(rows) for rows in (pairs.train_rows, pairs.dev_rows)] == [180, 20]
    assert np.array_equal(pairs.dev_rows[::2] + 1, pairs.dev_rows[1::2])


def test_a_split_is_the_same_once_the_recipe_has_chosen_the_form() -> None:
    rows = [(twin + str(n), f"target {twin} {n}") for n in range(100) for twin in ("é", "e\u0301")]
    found = [_split(rows, {}, source=side)[0].dev_rows.tolist() for side in ({}, {"normalise": "nfd"})]
    assert found[0] == found[1]
