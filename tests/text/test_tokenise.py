"""Laws of tokenisers: round trip, no special id from text, growth, files."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqsmith import config
from seqsmith.errors import UserError
from seqsmith.special import BEGIN, END, PAD, UNKNOWN
from seqsmith.text import subword
from seqsmith.text.tokenise import Tokeniser, open_tokeniser, train_tokeniser

Algorithm = Literal["unigram", "bpe"]
ALGORITHMS: tuple[Algorithm, ...] = ("unigram", "bpe")
CLOSED: tuple[config.Tokeniser, ...] = (config.Characters(), config.Words(), config.Symbols())
KINDS: tuple[config.Tokeniser, ...] = (
    config.Sentencepiece(vocabulary=400),
    config.Sentencepiece(vocabulary=400, algorithm="bpe"),
    config.Bytes(),
    *CLOSED,
)
WORDS = [
    "the",
    "a",
    "man",
    "woman",
    "walks",
    "walked",
    "walking",
    "runs",
    "on",
    "street",
    "streets",
    "café",
    "Straße",
    "你好",
    "नमस्ते",
    "42",
    "1999",
    "mother's",
    "<s>",
    "x_1",
    ".",
]
CORPUS = [" ".join(pair) for pair in itertools.product(WORDS, WORDS)]

any_text = st.text(st.characters(exclude_categories=["Cs"]))
nasty_text = st.lists(
    st.sampled_from(
        ["\u2581", " ", "  ", "<s>", "</s>", "<unk>", "<pad>", "<0x41>", "\u2585", "\uf8f0", "\uf8f1", "the"]
    )
).map("".join)


@cache
def trained(kind: config.Tokeniser) -> Tokeniser:
    return train_tokeniser(CORPUS, kind)


@pytest.mark.parametrize("kind", KINDS[:3], ids=str)
@settings(deadline=None)  # the first call learns
@given(any_text | nasty_text)
@example(" leading")
@example("trailing ")
@example("\u2581")
@example("two  \u2581 kinds of space")
@example("a\tb\u2028c\u3000d\ufeff")
def test_decoding_any_text_gives_it_back(kind: config.Tokeniser, text: str) -> None:
    tokeniser = trained(kind)
    ids = tokeniser.encode([text]).lists()[0]
    assert tokeniser.decode(ids) == text
    assert all(number > END and number < tokeniser.size for number in ids)


@pytest.mark.parametrize("kind", CLOSED, ids=str)
@settings(deadline=None)  # the first call learns
@given(any_text | nasty_text)
def test_decoding_text_of_known_symbols_gives_it_back(kind: config.Tokeniser, text: str) -> None:
    tokeniser = train_tokeniser([text], kind)
    ids = tokeniser.encode([text]).lists()[0]
    assert tokeniser.decode(ids) == text
    assert all(number > END for number in ids)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(deadline=None)  # the first call learns
@given(text=any_text | nasty_text)
def test_text_never_becomes_a_control_id(kind: config.Tokeniser, text: str) -> None:
    assert not {PAD, BEGIN, END} & set(trained(kind).encode([text]).lists()[0])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(deadline=None)  # the first call learns
@given(data=st.data())
def test_decoding_any_ids_gives_text(kind: config.Tokeniser, data: st.DataObject) -> None:
    tokeniser = trained(kind)
    ids = data.draw(st.lists(st.integers(0, tokeniser.size - 1)))
    tokeniser.decode(ids).encode("utf-8")
    assert len(tokeniser.pieces(ids)) == len(ids)
    kept = [number for number in ids if number not in (PAD, BEGIN, END)]
    assert tokeniser.decode(kept) == tokeniser.decode(ids)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_an_unknown_id_shows_as_the_replacement_character(kind: config.Tokeniser) -> None:
    assert trained(kind).decode([BEGIN, UNKNOWN, END, PAD]) == "\ufffd"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_tokeniser_opened_again_is_the_same(kind: config.Tokeniser, tmp_path: Path) -> None:
    tokeniser = trained(kind)
    assert (tmp_path / tokeniser.save(tmp_path, "source")).exists()
    again = open_tokeniser(tmp_path, "source", kind)
    assert again.size == tokeniser.size
    assert again.encode(CORPUS).lists() == tokeniser.encode(CORPUS).lists()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_equal_texts_give_equal_tokenisers(kind: config.Tokeniser, tmp_path: Path) -> None:
    first = train_tokeniser(iter(CORPUS), kind).save(tmp_path, "first")
    second = train_tokeniser(iter(CORPUS), kind).save(tmp_path, "second")
    assert (tmp_path / first).read_bytes() == (tmp_path / second).read_bytes()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_grown_tokeniser_keeps_the_old_ids_and_knows_the_new_text(kind: config.Tokeniser) -> None:
    old, text = trained(kind), "Ünknown wörds"
    grown = old.grown([text])
    assert grown.encode(CORPUS).lists() == old.encode(CORPUS).lists()
    assert grown.decode(grown.encode([text]).lists()[0]) == text


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_block_is_encoded_as_its_texts_one_by_one(kind: config.Tokeniser) -> None:
    tokeniser, texts = trained(kind), ["", "the man", " ", "walks  on"]
    assert tokeniser.encode(texts).lists() == [tokeniser.encode([text]).lists()[0] for text in texts]
    assert tokeniser.encode([]).lists() == []
    assert tokeniser.encode([""]).lists() == [[]]


# ------------------------------------------------------------------------------------------------ the single kinds


def test_words_keep_marks_with_their_letters() -> None:
    text = "Two men, नमस्ते x_1 cafe\u0301 mother's"
    tokeniser = train_tokeniser([text], config.Words())
    pieces = tokeniser.pieces(tokeniser.encode([text]).lists()[0])
    assert pieces == [
        "▁Two", "▁men", ",", "▁नमस्ते", "▁x", "_", "1", "▁cafe\u0301", "▁mother", "'", "s",
    ]  # fmt: skip


def test_a_word_has_one_id_wherever_it_stands() -> None:
    first, _, third = train_tokeniser(["the . the"], config.Words()).encode(["the . the"]).lists()[0]
    assert first == third


def test_words_keep_to_their_vocabulary_and_symbols_to_their_count() -> None:
    words = train_tokeniser(["a a a b b c"], config.Words(vocabulary=2))
    assert words.size == 4 + 2
    assert words.decode(words.encode(["b c a"]).lists()[0]) == "b \ufffd a"
    symbols = train_tokeniser(["a a a b b c"], config.Symbols(minimum_count=2))
    assert symbols.decode(symbols.encode(["b c a"]).lists()[0]) == "b \ufffd a"


def test_bytes_are_the_ids_after_the_specials() -> None:
    assert train_tokeniser([], config.Bytes()).encode(["A\u00e9"]).lists() == [[4 + 0x41, 4 + 0xC3, 4 + 0xA9]]


# ------------------------------------------------------------------------------------------------ sentencepiece


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(deadline=None, max_examples=20)
@given(st.lists(any_text | nasty_text, min_size=1, max_size=5), any_text)
def test_subwords_are_learnt_from_any_text(algorithm: Algorithm, corpus: list[str], text: str) -> None:
    kind = config.Sentencepiece(vocabulary=300, algorithm=algorithm)
    if not any(corpus):
        with pytest.raises(UserError, match="no text to learn subwords from"):
            train_tokeniser(corpus, kind)
        return
    tokeniser = train_tokeniser(corpus, kind)
    assert 260 < tokeniser.size <= 300
    for each in (*corpus, text):
        assert tokeniser.decode(tokeniser.encode([each]).lists()[0]) == each


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_too_large_a_vocabulary_is_reduced_and_says_so_by_its_size(
    algorithm: Algorithm, capfd: pytest.CaptureFixture[str]
) -> None:
    tokeniser = train_tokeniser(CORPUS, config.Sentencepiece(vocabulary=30_000, algorithm=algorithm))
    assert 260 < tokeniser.size < 2_000
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_looks_like_a_special_symbol_is_learnt_as_any_text(algorithm: Algorithm) -> None:
    text = "<s> a </s> <unk> b <pad> c"
    tokeniser = train_tokeniser([text] * 200, config.Sentencepiece(vocabulary=400, algorithm=algorithm))
    [ids] = tokeniser.encode([text]).lists()
    assert tokeniser.unseen.isdisjoint(ids)
    assert tokeniser.decode(ids) == text


def test_a_large_alphabet_fits_a_small_vocabulary() -> None:
    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    tokeniser = train_tokeniser([*CORPUS, rare], config.Sentencepiece(vocabulary=320))
    assert tokeniser.size <= 320
    assert tokeniser.decode(tokeniser.encode([rare]).lists()[0]) == rare


def test_learning_from_much_text_takes_a_fixed_bounded_part_of_it() -> None:
    sample = subword._sample(CORPUS * 10, most=5_000)
    assert 500 < sum(map(len, sample)) <= 5_000
    assert sample == subword._sample(iter(CORPUS * 10), most=5_000)
    assert subword._sample(["same text"] * 1_000, most=20)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(deadline=None)  # the first call learns
@given(text=any_text | nasty_text | st.lists(st.sampled_from(WORDS)).map(" ".join), seed=st.integers(0, 2**63))
def test_sampling_is_lossless_and_a_pure_function_of_text_and_seed(algorithm: Algorithm, text: str, seed: int) -> None:
    tokeniser = sampling(algorithm, 0.5)
    ids = tokeniser.encode_sampled(text, seed)
    assert tokeniser.encode_sampled(text, seed) == ids
    assert tokeniser.decode(ids) == text
    assert all(number > END for number in ids)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(deadline=None)  # the first call learns
@given(any_text | nasty_text | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_sampling_at_a_vanishing_rate_is_encoding(algorithm: Algorithm, text: str) -> None:
    tokeniser = sampling(algorithm, 1e-300)
    assert tokeniser.encode_sampled(text, 1) == tokeniser.encode([text]).lists()[0]
    assert sampling(algorithm, 0.0).encode_sampled(text, 1) == tokeniser.encode([text]).lists()[0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_seeds_give_many_segmentations(algorithm: Algorithm) -> None:
    tokeniser = sampling(algorithm, 0.5)
    assert len({tuple(tokeniser.encode_sampled("the streets walked on", seed)) for seed in range(50)}) > 5


@cache
def sampling(algorithm: Algorithm, rate: float) -> Tokeniser:
    return trained(config.Sentencepiece(vocabulary=400, algorithm=algorithm, sampling=rate))


def test_missing_and_damaged_models_are_named(tmp_path: Path) -> None:
    kind = config.Sentencepiece()
    with pytest.raises(UserError, match=r"source\.model: cannot read the subwords: No such file"):
        open_tokeniser(tmp_path, "source", kind)
    (tmp_path / "source.model").write_bytes(b"not a model")
    with pytest.raises(UserError, match=r"source\.model: not a sentencepiece model, or a damaged one"):
        open_tokeniser(tmp_path, "source", kind)


@pytest.mark.parametrize("kind", [config.Sentencepiece(vocabulary=8000), *KINDS[1:]], ids=str)
def test_real_captions_come_back(kind: config.Tokeniser, data_folder: Path) -> None:
    path = data_folder / "multi30k" / "raw" / "train.de"
    lines = path.read_bytes().decode("utf-8").split("\n")[:5_000]
    tokeniser = train_tokeniser(lines, kind)
    assert [tokeniser.decode(ids) for ids in tokeniser.encode(lines).lists()] == lines


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(deadline=None)  # the first call learns
@given(texts=st.lists(any_text | nasty_text, max_size=4))
@example(texts=["", " ", "  ", " a", "a ", "a  b", "the man \u2581 walks", "the café\tthe café"])
def test_words_alone_are_cut_as_well_as_the_whole_text(texts: list[str], algorithm: Algorithm) -> None:
    tokeniser = trained(config.Sentencepiece(vocabulary=400, algorithm=algorithm))
    assert isinstance(tokeniser, subword.Subwords)
    processor = tokeniser._processor
    whole = processor.encode([subword.escape(text) for text in texts], num_threads=1)
    by_words = tokeniser.encode(texts).lists()
    if algorithm == "bpe":
        assert by_words == whole
    else:  # sums along a text are rounded otherwise, so that of two equally likely cuts the other may be found
        assert [sum(map(processor.get_score, ids)) for ids in by_words] == pytest.approx(
            [sum(map(processor.get_score, ids)) for ids in whole], rel=1e-5
        )


def test_forgetting_words_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tokeniser = trained(config.Sentencepiece(vocabulary=400))
    before = [tokeniser.encode([line]).lists() for line in CORPUS]
    monkeypatch.setattr("seqsmith.text.subword.WORDS_KEPT", 2)
    assert [tokeniser.encode([line]).lists() for line in CORPUS] == before


def test_threads_may_encode_side_by_side() -> None:
    lines = [f"{number} walks to {number * number}" for number in range(3_000)]
    alone = trained(config.Sentencepiece(vocabulary=400)).encode(lines).lists()
    shared = train_tokeniser(CORPUS, config.Sentencepiece(vocabulary=400))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda line: shared.encode([line]).lists()[0], lines))
    assert found == alone
