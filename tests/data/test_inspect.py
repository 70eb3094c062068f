"""Laws of the report on a corpus: every number is what a naive count finds, and nothing in it can harm a terminal."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.data.corpus import Role
from seqsmith.data.inspect import inspect_corpus
from seqsmith.data.printable import printable
from seqsmith.data.report import Report

ROLES = [Role("source", None, 1), Role("target", None, 2)]


def report_on(folder: Path, train: str, dev: str | None = None, test: str | None = None) -> Report:
    corpora = {}
    for name, content in (("train", train), ("dev", dev), ("test", test)):
        if content is not None:
            (folder / name).write_bytes(content.encode())
            corpora[name] = config.Corpus(path=str(folder / name))
    return inspect_corpus(corpora.pop("train"), ROLES, config.Data(header=False), **corpora)


def lines_of(places: tuple[str, ...]) -> list[int]:
    return [int(place.split(" ")[0].rpartition(":")[2]) for place in places]


WORD = st.text(st.sampled_from("ab c"), min_size=1).filter(str.strip)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(WORD, WORD), min_size=1, max_size=30), st.lists(st.tuples(WORD, WORD), min_size=1, max_size=9)
)
def test_the_report_is_the_naive_count(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], dev: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    report = report_on(folder, *("".join(f"{s}\t{t}\n" for s, t in part) for part in (pairs, dev)))
    part = report.parts["train"]
    assert part.pairs == len(pairs)
    repeats = [n for n, pair in enumerate(pairs, 1) if pair in pairs[: n - 1]]
    assert part.findings["repeated pairs"].count == len(repeats)
    assert lines_of(part.findings["repeated pairs"].places) == repeats
    times = Counter(source for source, _ in set(pairs))
    several = [n for n, (s, _) in enumerate(pairs, 1) if times[s] > 1 and s not in [s for s, _ in pairs[: n - 1]]]
    assert part.findings["sources with several targets"].count == len(several)
    assert lines_of(part.findings["sources with several targets"].places) == several
    same = [n for n, (s, t) in enumerate(pairs, 1) if s == t]
    assert lines_of(part.findings["source and target the same"].places) == same
    for number, side in enumerate(("sources", "targets")):
        texts = [pair[number] for pair in pairs]
        found = report.overlap[f"{side} of dev in train"]
        shared = [(n, pair[number]) for n, pair in enumerate(dev, 1) if pair[number] in texts]
        expected = [f"{folder}/dev:{n} ({folder}/train:{texts.index(text) + 1})" for n, text in shared]
        assert (found.count, list(found.places)) == (len(shared), expected)
    assert report.overlap["pairs of dev in train"].count == sum(pair in pairs for pair in dev)
    for role, column in zip(("source", "target"), zip(*pairs, strict=True), strict=True):
        side = part.sides[role]
        counted = Counter("".join(column))
        assert side.alphabet == len(counted)
        for character in side.rarest:
            symbol = chr(int(character.code[2:], 16))
            assert character.count == counted[symbol]
            assert lines_of((character.place,)) == [next(n for n, text in enumerate(column, 1) if symbol in text)]
        lengths = sorted(map(len, column))
        assert (side.characters.least, side.characters.most) == (lengths[0], lengths[-1])
        assert side.characters.median == lengths[len(lengths) // 2]
        assert side.words.most == max(len(text.split()) for text in column)


def test_overlap_names_both_places(tmp_path: Path) -> None:
    report = report_on(tmp_path, "a\tb\nc\td\n", dev="x\ty\nc\td\n", test="c\te\n")
    assert report.overlap["pairs of dev in train"].places == (f"{tmp_path}/dev:2 ({tmp_path}/train:2)",)
    assert report.overlap["sources of test in dev"].places == (f"{tmp_path}/test:1 ({tmp_path}/dev:2)",)
    assert report.overlap["pairs of test in train"].count == 0


def test_targets_of_parallel_files_are_placed_in_their_own_file(tmp_path: Path) -> None:
    corpora = []
    for name, lines in (("train", ("a\nb\n", "x\ny\n")), ("dev", ("c\n", "y\n"))):
        paths = [tmp_path / f"{name}.{side}" for side in ("de", "en")]
        for path, content in zip(paths, lines, strict=True):
            path.write_text(content)
        corpora.append(config.Corpus(path=str(paths[0]), target=str(paths[1])))
    report = inspect_corpus(corpora[0], ROLES, config.Data(), dev=corpora[1])
    assert report.overlap["targets of dev in train"].places == (f"{tmp_path}/dev.en:1 ({tmp_path}/train.en:2)",)


def test_json_has_the_places_and_the_text_the_first_of_them(tmp_path: Path) -> None:
    report = report_on(tmp_path, "a\tb\n" * 10_010 + "\n" * 10_001)
    found = report.as_dict()["parts"]["train"]["findings"]
    for what, count in (("repeated pairs", 10_009), ("empty rows", 10_001)):
        assert (found[what]["count"], len(found[what]["places"])) == (count, 10_000)
    assert sum("(as " in line for line in "\n".join(report.lines()).split("\n")) == 5


def test_a_swapped_pair_is_another_pair(tmp_path: Path) -> None:
    assert report_on(tmp_path, "a\tb\nb\ta\n").parts["train"].findings["repeated pairs"].count == 0


def test_pairs_of_other_features_are_other_pairs(tmp_path: Path) -> None:
    for name, content in (("train", "walk\twalk\tV\nwalk\twalk\tN\nwalk\twalked\tPST\n"), ("dev", "walk\twalk\tINF\n")):
        (tmp_path / name).write_text(content)
    train, dev = (config.Corpus(path=str(tmp_path / name)) for name in ("train", "dev"))
    report = inspect_corpus(train, [*ROLES, Role("features", 3, None)], config.Data(header=False), dev=dev)
    findings = report.parts["train"].findings
    assert (findings["repeated pairs"].count, findings["sources with several targets"].count) == (0, 0)
    assert (report.overlap["sources of dev in train"].count, report.overlap["pairs of dev in train"].count) == (1, 0)


def test_outliers_are_far_from_the_median_ratio(tmp_path: Path) -> None:
    ordinary = "".join(f"{'x' * n}\t{'y' * 2 * n}\n" for n in range(5, 30))
    report = report_on(tmp_path, f"{ordinary}{'x' * 60}\ty\nx\t{'y' * 10}\n")
    assert lines_of(report.parts["train"].findings["unusual ratio of lengths"].places) == [26]


def test_empty_rows_are_reported_with_lines(tmp_path: Path) -> None:
    report = report_on(tmp_path, "a\tb\n\n\tc\n")
    assert lines_of(report.parts["train"].findings["empty rows"].places) == [2, 3]


def test_odd_characters_are_named(tmp_path: Path) -> None:
    report = report_on(tmp_path, "a\tb\nc\u202e\t\x1bd\n")
    sides = report.parts["train"].sides
    assert [(c.code, c.name, c.count) for c in sides["source"].odd] == [("U+202E", "RIGHT-TO-LEFT OVERRIDE", 1)]
    assert [(c.code, lines_of((c.place,))) for c in sides["target"].odd] == [("U+001B", [2])]


def test_the_report_is_safe_to_print_and_is_json(tmp_path: Path) -> None:
    report = report_on(tmp_path, "=1+1\t\x1b[2Jgone\n@x\t\u202edrow\n+\t-5\n")
    text = "\n".join(report.lines())
    assert all(line.isprintable() for line in report.lines())
    assert "  '=1+1  |  \\x1b[2Jgone" in text
    assert "  '@x  |  \\u202edrow" in text
    assert "  '+  |  '-5" in text
    assert json.loads(json.dumps(report.as_dict()))["parts"]["train"]["pairs"] == 3


def test_characters_of_parallel_files_are_placed_in_their_own_file(tmp_path: Path) -> None:
    source, target = tmp_path / "a.de", tmp_path / "a.en"
    source.write_text("a\n")
    target.write_text("b\n")
    report = inspect_corpus(config.Corpus(path=str(source), target=str(target)), ROLES, config.Data())
    places = [side.rarest[0].place for side in report.parts["train"].sides.values()]
    assert places == [f"{source}:1", f"{target}:1"]


def test_one_sided_data_is_reported_too(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\nb\na\n")
    report = inspect_corpus(config.Corpus(path=str(path)), ROLES[:1], config.Data())
    assert lines_of(report.parts["train"].findings["repeated sources"].places) == [3]


@given(st.text(), st.integers(2, 30))
def test_printable_is_printable_and_no_formula(text: str, longest: int) -> None:
    shown = printable(text, longest=longest)
    assert shown.isprintable()
    assert not shown.startswith(("=", "+", "-", "@"))
    if text.isprintable() and len(text) <= longest:
        assert shown.removeprefix("'") == text.removeprefix("'")
