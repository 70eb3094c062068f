import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith.data.statistics import WHITE, Histogram, TextStatistics

TEXT = st.text(st.sampled_from("ab ä\u3000\x1c\u200b😀"), max_size=12)


@given(blocks=st.lists(st.lists(TEXT, max_size=5), max_size=4))
def test_statistics_equal_counting_text_by_text(blocks: list[list[str]]) -> None:
    texts = [text for block in blocks for text in block]
    statistics = TextStatistics()
    for block in blocks:
        statistics.add(block)
    words = [len(text.split()) for text in texts]
    assert statistics.rows == len(texts)
    assert statistics.alphabet == Counter("".join(texts))
    assert statistics.characters.mean == pytest.approx(np.mean([len(text) for text in texts]) if texts else 0)
    assert [statistics.words.quantile(share) for share in (0.5, 1.0)] == _quantiles(words, 0.5, 1.0)
    assert statistics.spaced == pytest.approx(sum(n > 1 for n in words) / max(1, len(words)))
    again = TextStatistics.from_json(json.loads(json.dumps(statistics.to_json())))
    assert (again.alphabet, again.rows, again.spaced) == (statistics.alphabet, statistics.rows, statistics.spaced)


def _quantiles(numbers: list[int], *shares: float) -> list[int]:
    ordered = sorted(numbers) or [0]
    return [ordered[max(0, int(np.ceil(share * len(ordered))) - 1)] for share in shares]


def test_white_space_is_what_str_split_takes_for_it() -> None:
    assert list(filter(str.isspace, map(chr, range(0x110000)))) == list(map(chr, WHITE))


def test_a_histogram_grows_with_its_numbers() -> None:
    histogram = Histogram()
    histogram.add(np.array([1]))
    histogram.add(np.array([70, 3, 3]))
    assert (histogram.total, histogram.mean) == (4, 19.25)
    assert [histogram.quantile(share) for share in (0.25, 0.5, 0.75, 0.76)] == [1, 3, 3, 70]


def test_one_endless_text_does_not_speak_for_all() -> None:
    histogram = Histogram()
    histogram.add(np.array([10] * 600 + [1_000_000]))
    assert histogram.typical == 10
    assert histogram.mean > 1000
    assert Histogram().typical == 0
