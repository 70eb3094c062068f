"""Laws of the codec: features stay apart from text, files bring all of it back, growth keeps meanings."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.special import UNKNOWN
from seqsmith.text.codec import TextCodec, open_codec, train_codec

TEXTS = ["walk", "walked", "walking"]
FEATURES = ["V;PRS", "V;PST", "V;PTCP;PRS"]
CHARACTERS = config.TextSource(tokeniser=config.Characters(), normalise="nfc", lowercase=True)
BYTES = config.TextSource(tokeniser=config.Bytes())


def trained(settings: config.TextSource = CHARACTERS) -> TextCodec:
    return train_codec(TEXTS, settings, features=FEATURES)


def test_features_stand_before_the_text_with_ids_of_their_own() -> None:
    codec = trained()
    [ids] = codec.encode(["walked"], ["V;PST"]).lists()
    assert codec.pieces(ids) == ["V", "PST", *"walked"]
    assert all(codec.tokeniser.size <= number < codec.size for number in ids[:2])
    assert codec.decode(ids) == "walked"
    assert codec.encode_sampled("walked", "V;PST", 1) == ids


@given(st.lists(st.sampled_from(["V", "PST", ";", "V;PST", " "])).map("".join))
def test_text_never_becomes_a_feature(text: str) -> None:
    codec = trained(BYTES)
    assert all(number < codec.tokeniser.size for number in codec.encode([text]).lists()[0])


def test_an_unknown_feature_is_unknown_and_no_feature_is_nothing() -> None:
    codec = trained()
    assert codec.encode(["walk"], ["FUT"]).lists()[0][0] == UNKNOWN
    assert codec.encode(["walk"], [""]).lists() == codec.encode(["walk"]).lists()


def test_text_is_normalised_before_it_is_learnt_and_encoded() -> None:
    codec = train_codec(["E\u0301"], CHARACTERS)
    assert codec.size == 4 + 1
    assert codec.decode(codec.encode(["\u00c9"]).lists()[0]) == "\u00e9"


def test_a_codec_opened_again_is_the_same(tmp_path: Path) -> None:
    codec = trained()
    assert codec.save(tmp_path, "source") == ["source.vocab", "source.features.vocab"]
    again = open_codec(tmp_path, "source", CHARACTERS)
    assert again.size == codec.size
    assert again.encode(TEXTS, FEATURES).lists() == codec.encode(TEXTS, FEATURES).lists()
    assert train_codec(TEXTS, CHARACTERS).save(tmp_path, "target") == ["target.vocab"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"source\.vocab: cannot read the vocabulary"):
        open_codec(tmp_path, "source", CHARACTERS)


def test_a_joint_tokeniser_serves_both_sides() -> None:
    source = trained()
    target = train_codec([], config.TextTarget(tokeniser=config.Characters()), tokeniser=source.tokeniser)
    assert target.encode(TEXTS).lists() == source.encode(TEXTS).lists()
    assert target.size == source.tokeniser.size


def test_growth_keeps_meanings() -> None:
    old = trained()
    new = old.grown(["Ölung"], ["N;PST"])
    inherited = new.inherited(old)
    assert len(inherited) == new.size
    ids = new.encode(TEXTS, FEATURES).lists()
    assert [[inherited[number] for number in row] for row in ids] == old.encode(TEXTS, FEATURES).lists()
    fresh = new.encode(["ö"], ["N"]).lists()[0]
    assert [inherited[number] for number in fresh] == [UNKNOWN, UNKNOWN]


def test_the_share_of_what_training_never_saw_is_known() -> None:
    closed, open_ = trained(), train_codec(["walk", "walks"] * 9, config.TextSource(tokeniser=config.Sentencepiece()))
    assert closed.unknown_share(closed.encode(["walk"]).lists()[0]) == 0.0
    assert closed.unknown_share(closed.encode(["waxx"]).lists()[0]) == 0.5
    assert open_.unknown_share(open_.encode(["walk"]).lists()[0]) == 0.0
    assert open_.unknown_share(open_.encode(["你"]).lists()[0]) == pytest.approx(3 / 4)
    assert closed.unknown_share([]) == 0.0
