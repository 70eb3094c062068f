"""What validation looks at."""

from pathlib import Path

import numpy as np
import pytest

from seqsmith.cli.prepare import Pairs
from seqsmith.config import Corpus, Data
from seqsmith.data.prepare import gather
from seqsmith.text.columns import roles

pytestmark = pytest.mark.unwatched  # no tensors here


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
