"""Settings: strict, frozen, written and read back, and every mistake told in one sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.errors import UserError


def message(table: dict) -> str:
    with pytest.raises(UserError) as error:
        config.draft(table, where="run.toml")
    return str(error.value)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"trian": {}}, "unknown setting `trian`. Did you mean `train`?"),
        ({"train": {"seed": 1}}, "unknown setting `train.seed`. Did you mean `seed`?"),
        ({"train": {"beam": 1}}, "unknown setting `train.beam`. Did you mean `search.beam`?"),
        (
            {"model": {"dropout": 0.1}},
            "unknown setting `model.dropout`. Did you mean `model.encoder.dropout` or `model.decoder.dropout`?",
        ),
        ({"model": {"encodr": "lstm"}}, "unknown setting `model.encodr`. Did you mean `encoder`?"),
        ({"model": {"encoder": {"widht": 8}}}, "unknown setting `model.encoder.widht`. Did you mean `width`?"),
        ({"model": {"encoder": "lstn"}}, "model.encoder.kind: found 'lstn', expected one of 'lstm', 'gru'"),
        (
            {"train": {"schedule": "plateu"}},
            "train.schedule.kind: found 'plateu', expected one of 'inverse_sqrt', 'cosine', 'plateau', 'constant'. "
            "Did you mean `plateau`?",
        ),
        ({"train": {"epochs": "ten"}}, "train.epochs: found 'ten'"),
        ({"train": {"epochs": 1.5}}, "train.epochs: found 1.5"),
        ({"data": {"features_separator": ""}}, "data.features_separator: found '', expected a text that is not empty."),
        ({"train": {"threads": 100_000}}, "train.threads: found 100000, expected 1024 or less."),
        ({"seed": 2**63}, "seed: found 9223372036854775808, expected less than 9.22337e+18."),
        ({"series": {"interval": 0.99}}, "series.interval: found 0.99, expected 0.9 or less."),
        (
            {"data": {"train": {"path": "a"}}},
            "data.train: found one table, expected a list: write [[data.train]], with",
        ),
        (
            {"data": {"train": [{"path": "a"}, {"weight": 2.0}]}},
            "data.train.path, number 2: found {'weight': 2.0}, expected a value for it.",
        ),
        ({"series": {"split_rows": [1, 0, 3]}}, "series.split_rows, number 2: found 0, expected more than 0."),
        (
            {"series": {"split_rows": [1, 2, 3, 4]}},
            "series.split_rows: found (1, 2, 3, 4), expected 3 of them",
        ),
        ({"train": 3}, "train: found 3, expected a table of settings."),
        ({"data": {"source": 0}}, "data.source: found 0, expected a text or more than 0."),
        ({"data": {"header": "yes"}}, "data.header: found 'yes', expected true or false."),
        ({"train": {"precision": "fp16"}}, "train.precision: found 'fp16', expected one of 'auto', 'fp32', 'bf16'."),
        ({"train": {"ema": 1.0}}, "train.ema: found 1.0, expected less than 1."),
        ({"search": {"length_penalty": float("inf")}}, "search.length_penalty: found inf, expected a finite number."),
        ({"search": {"length_penalty": 1e308}}, "search.length_penalty: found 1e+308, expected 10 or less."),
        ({"search": {"length_penalty": -1e308}}, "search.length_penalty: found -1e+308, expected -10 or more."),
        ({"search": {"longest": 10**12}}, "search.longest: found 1000000000000, expected 1e+06 or less."),
        ({"search": {"longest_ratio": 1e308}}, "search.longest_ratio: found 1e+308, expected 1000 or less."),
        ({"search": {"longest_extra": 10**9}}, "search.longest_extra: found 1000000000, expected 1e+06 or less."),
        ({"search": {"shortest": 10**9}}, "search.shortest: found 1000000000, expected 1e+06 or less."),
        ({"search": {"beam": 10**9}}, "search.beam: found 1000000000, expected 10000 or less."),
        ({"search": {"nbest": 10**9}}, "search.nbest: found 1000000000, expected 10000 or less."),
        ({"search": {"language_order": 10**9}}, "search.language_order: found 1000000000, expected 100 or less."),
        ({"search": {"language_weight": 1e308}}, "search.language_weight: found 1e+308, expected 1e+06 or less."),
        ({"seed": -1}, "seed: found -1, expected 0 or more."),
        ({"search": {"ctc": 1.5}}, "search.ctc: found 1.5, expected 1 or less."),
        ({"train": {"rate": "fast"}}, "train.rate: found 'fast', expected a number."),
        ({"data": {"train": 3}}, "data.train: found 3, expected a list."),
        (
            {"model": {"encoder": {"kind": "transformer", "position": "learned", "longest": 20}}},
            "data.longest_source: found 1,024, but the learned positions of the encoder end at 20 "
            "(model.encoder.longest): change one of them.",
        ),
        ({"train": {"epochs": 0}}, "train.epochs: found 0, expected more than 0."),
        ({"train": {"rate": -1.0}}, "train.rate: found -1.0, expected more than 0."),
        ({"train": {"rate": float("nan")}}, "train.rate: found nan"),
        ({"train": {"precision": "fp8"}}, "train.precision: found 'fp8'"),
        ({"search": {"nbest": 4, "beam": 2}}, "search: nbest 4 needs a beam at least as wide, found beam 2."),
        (
            {"model": {"encoder": {"kind": "transformer", "width": 250, "heads": 4}}},
            "model.encoder: width 250 is not divisible by heads 4: change one of them.",
        ),
        (
            {"model": {"decoder": {"kind": "transformer", "heads": 4, "key_value_heads": 3}}},
            "model.decoder: heads 4 is not divisible by key_value_heads 3: change one.",
        ),
        (
            {"model": {"encoder": {"kind": "transformer", "width": 6, "heads": 2}}},
            "model.encoder: rotary positions need an even width per head, found 6/2",
        ),
        (
            {"model": {"encoder": {"kind": "lstm", "width": 7}}},
            "model.encoder: width 7 cannot be halved between two directions: give an even width.",
        ),
        (
            {"model": {"decoder": {"kind": "lstm", "attention": "none", "input_feeding": True}}},
            "model.decoder: input feeding feeds what attention found",
        ),
        (
            {"model": {"decoder": {"kind": "lstm", "attention": "dot", "coverage": True}}},
            "model.decoder: coverage enters additive attention, found dot",
        ),
        ({"model": {"coverage": 1.0}}, "model: coverage belongs to the copy outlet"),
        (
            {"model": {"copy_source": True, "decoder": {"kind": "gru", "attention": "none"}}},
            "model: copy_source points with the attention",
        ),
    ],
)
def test_a_mistake_is_named_with_what_is_expected(table: dict, expected: str) -> None:
    found = message(table)
    assert found.startswith(f"run.toml: {expected}")
    assert "\n" not in found


def test_settings_survive_writing_and_reading() -> None:
    table = {
        "model": {"encoder": "transformer", "decoder": {"kind": "gru", "layers": 2}},
        "data": {"train": [{"path": 'a "quoted"\t\\ päth', "weight": 2.0}], "features": 3},
        "train": {"schedule": {"kind": "plateau", "patience": 2}},
    }
    settings = config.build(table, where="here")
    assert config.build(tomllib.loads(config.dump(settings)), where="there") == settings


@given(st.text())
@examples(max_examples=40, deadline=None)
def test_any_string_survives_writing_and_reading(text: str) -> None:
    settings = config.build({"data": {"audio_folder": text.replace("\ud800", "")}}, where="here")
    try:
        written = config.dump(settings).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert tomllib.loads(written.decode())["data"]["audio_folder"] == settings.data.audio_folder


def test_a_choice_without_kind_fits_the_kind_that_has_its_keys() -> None:
    draft = config.draft({"model": {"encoder": {"feed_forward": 64}}}, where="here")
    assert draft.model.encoder is not None
    assert draft.model.encoder.kind == "transformer"


def test_overrides_are_toml_or_bare_words() -> None:
    table = config.override({"train": {"epochs": 1}}, ["train.epochs=2", "model.encoder=gru", "data.features=tags"])
    assert table == {"train": {"epochs": 2}, "model": {"encoder": "gru"}, "data": {"features": "tags"}}


def test_an_override_without_a_value_is_refused() -> None:
    with pytest.raises(UserError, match=r"--set train\.epochs: expected section\.key=value"):
        config.override({}, ["train.epochs"])


def test_another_kind_replaces_the_whole_table_below() -> None:
    under = {"encoder": {"kind": "lstm", "layers": 3}}
    assert config.merge(under, {"encoder": {"kind": "gru"}}) == {"encoder": {"kind": "gru"}}
    assert config.merge(under, {"encoder": {"width": 4}}) == {"encoder": {"kind": "lstm", "layers": 3, "width": 4}}
    assert config.merge(under, {"encoder": "lstm"}) == under


def test_a_settings_file_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.toml: no such settings file"):
        config.read_table(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("seed = \n")
    with pytest.raises(UserError, match=r"broken\.toml: not a TOML file: .*line 1"):
        config.read_table(broken)
    broken.write_text("sed = 1\n")
    with pytest.raises(UserError, match=r"broken\.toml: unknown setting `sed`"):
        config.read(broken)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.Settings().seed = 2  # type: ignore[misc]
