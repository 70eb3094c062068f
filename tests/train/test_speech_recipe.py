"""What is chosen for recordings, and that the user's word goes before it."""

from __future__ import annotations

import pytest

from seqsmith import config
from seqsmith.data.statistics import TextStatistics
from seqsmith.speech.survey import Survey
from seqsmith.train.recipe import Side
from seqsmith.train.speech_recipe import choose_speech

WORDS = ["erase i s l f thirty eight", "go", "yes please"] * 10
SPEECH = {"source": {"kind": "speech"}}


def side(texts: list[str]) -> Side:
    statistics = TextStatistics()
    statistics.add(texts)
    return Side(statistics, texts)


def chosen(found: Survey, texts: list[str], table: dict | None = None) -> config.Settings:
    recipe = choose_speech(found, side(texts), table=config.merge(SPEECH, table or {}))
    return config.build(recipe.resolved(), where="settings")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            Survey(848, None, 13, 2.7),
            {"channels": 13, "bins": None, "deltas": 2, "cepstra": True, "normalise": "global"},
        ),
        (Survey(848, None, 80, 2.7), {"channels": 80, "deltas": 0, "cepstra": False, "normalise": "recording"}),
        (Survey(6_000, 8_000, None, 1.5), {"rate_hz": 8_000, "bins": 64, "channels": 64, "normalise": "level"}),
        (Survey(6_000, 44_100, None, 1.5), {"rate_hz": 16_000, "bins": 80, "channels": 80, "deltas": 0}),
    ],
)
def test_frames_follow_the_recordings(found, expected):
    source = chosen(found, WORDS).source
    assert isinstance(source, config.SpeechSource)
    assert source.model_dump(include=set(expected)) == expected


@pytest.mark.parametrize(("seconds", "factor"), [(0.4, 1), (0.7, 2), (3.0, 4), (30.0, 4)])
def test_there_are_always_more_steps_than_letters(seconds, factor):
    assert chosen(Survey(1_000, 16_000, None, seconds), WORDS).model.subsample == factor


def test_everything_that_is_open_is_chosen_and_the_user_comes_first():
    settings = chosen(Survey(848, None, 13, 2.7), WORDS, {"model": {"encoder": "conformer", "ctc": 0.3}})
    assert isinstance(settings.model.encoder, config.Conformer)
    assert isinstance(settings.model.decoder, config.RecurrentDecoder)
    assert settings.model.ctc == 0.3
    assert (settings.train.score, settings.target.tokeniser) == ("wer", config.Characters())
    for value in (settings.train.rate, settings.train.epochs, settings.train.batch_tokens, settings.search.beam):
        assert value is not None


def test_a_few_sounds_take_a_small_model_and_much_speech_a_large_one_with_pieces():
    small = chosen(Survey(1_500, 8_000, None, 1.1), ["0123", "4567", "89"] * 5)
    large = chosen(Survey(100_000, 16_000, None, 10.0), WORDS)
    assert (small.train.score, large.train.score) == ("cer", "wer")
    assert small.model.encoder.width < large.model.encoder.width
    assert isinstance(large.target.tokeniser, config.Sentencepiece)


@pytest.mark.parametrize(("texts", "bent"), [(["one two", "three"], True), (["12", "3", "A 4 5 6"], False)])
def test_spectra_of_words_are_bent_and_those_of_tones_are_not(texts, bent):
    source = chosen(Survey(848, 8_000, None, 2.7), texts * 10).source
    assert isinstance(source, config.SpeechSource)
    assert (source.augment.bend > 0) is bent


@pytest.mark.parametrize(("weight", "heard"), [(0.0, 0.0), (0.5, 0.6), (1.0, 1.0)])
def test_who_was_trained_is_asked(weight, heard):
    assert chosen(Survey(848, None, 13, 2.7), WORDS, {"model": {"ctc": weight}}).search.ctc == heard


@pytest.mark.parametrize("family", ["gru", "transformer"])
def test_every_family_can_be_built(family):
    settings = chosen(Survey(848, None, 13, 2.7), WORDS, {"model": {"family": family}})
    assert settings.model.encoder.kind == settings.model.decoder.kind == family
