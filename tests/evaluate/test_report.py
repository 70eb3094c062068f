"""What people and programs read of scores."""

import json

import pytest

from seqsmith.errors import UserError
from seqsmith.evaluate.report import TITLES, as_dict, render, render_paired, worst
from seqsmith.evaluate.scores import NAMES, paired_test, score_texts

REFERENCES = ["the cat sat on the mat", "two dogs run in the park"]
OUTPUTS = ["the cat sat on a mat", "two dogs run in the park"]


def test_every_score_has_a_title() -> None:
    assert set(TITLES) == set(NAMES)


def test_the_table_has_a_line_for_each_score_with_value_interval_and_signature() -> None:
    scores = score_texts(OUTPUTS, REFERENCES, NAMES, resamples=50, seed=7)
    header, *rest, made = render(scores).splitlines()
    lines, edits = rest[: len(scores)], rest[len(scores) :]
    assert header.split() == ["score", "value", "95", "%", "interval", "better", "signature"]
    assert [line.split(":")[0] for line in edits] == ["WER", "CER", "PER"]
    for line, score in zip(lines, scores, strict=True):
        assert line.startswith(TITLES[score.name])
        assert f"{score.value:.2f}" in line
        assert f"{score.low:.2f} to {score.high:.2f}" in line
        assert line.endswith(score.signature)
        assert line.index(score.signature) == header.index("signature")
    assert made == "Intervals: bootstrap:percentile|level:95|resamples:50|seed:7"


def test_an_error_rate_tells_its_edits() -> None:
    table = render(score_texts(["a x c", "d"], ["a b c", "d e"], ["wer"], resamples=0))
    assert table.splitlines()[-1] == "WER: 1 substitutions, 1 deletions and 0 insertions in 5 words"


def test_without_an_interval_the_table_claims_none() -> None:
    table = render(score_texts(OUTPUTS, REFERENCES, ["wer"], resamples=0))
    assert " to " not in table
    assert "Intervals" not in table


def test_the_paired_table_shows_both_systems_and_the_difference() -> None:
    test = paired_test(OUTPUTS, REFERENCES, REFERENCES, "wer", resamples=50)
    _, line, made = render_paired([test]).splitlines()
    assert f"{test.value_a:.2f}" in line
    assert f"{test.difference:+.2f}" in line
    assert f"{test.p_value:.3f}" in line
    assert "randomisation" in made


def test_the_dict_survives_json() -> None:
    scores = score_texts(OUTPUTS, REFERENCES, NAMES, resamples=20)
    told = as_dict(scores)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert list(told) == list(NAMES)
    assert told["wer"]["value"] == scores[NAMES.index("wer")].value
    assert told["wer"]["counts"]["substitutions"] == 1


def test_the_worst_come_first_and_right_outputs_never() -> None:
    outputs, references = ["abcd", "xbcd", "zzzz", "abcdefghij"], ["abcd"] * 3 + ["abcdefghiX"]
    found = worst(outputs, references, ["one", "two", "three", "four"], 10)
    assert [example.number for example in found] == [3, 2, 4]
    assert found[0].source == "three"
    assert found[0].error == 1.0
    assert [example.number for example in worst(outputs, references, outputs, 1)] == [3]


def test_the_nearest_reference_counts_in_the_worst() -> None:
    assert worst(["abc"], [["zzz", "abc"]], ["s"], 3) == []


def test_a_missing_source_is_told_with_all_counts() -> None:
    with pytest.raises(UserError, match="Found 2 outputs, 2 references and 1 sources"):
        worst(OUTPUTS, REFERENCES, ["only one"], 1)
