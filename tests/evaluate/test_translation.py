"""BLEU, chrF++ and TER are sacreBLEU's, values and signatures, also after resampling."""

import time

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seqsmith.evaluate.scores import score_texts
from seqsmith.evaluate.translation import bleu

TEXTS = {
    "latin": (
        ["the cat sat on a mat today", "Tom doesn't know, I think.", ""],
        ["the cat sat on the mat today", "Tom does not know it, I think.", "nothing here"],
    ),
    "han": (["我 喜欢吃苹果和香蕉。", "他昨天没有来学校"], ["我喜欢吃苹果和梨。", "他昨天没来学校上课"]),
    "arabic": (["القط جلس على السجادة اليوم", "لا أعرف"], ["القط جلس على الحصيرة اليوم", "أنا لا أعرف شيئا"]),
    "emoji": (["I 💛 you so much 👩\u200d🚀 friend", "a b c d"], ["I 💛 you very much 👩\u200d🚀 friend", "a b c e"]),
}


@pytest.mark.parametrize("script", TEXTS)
@pytest.mark.parametrize(
    ("name", "metric"), [("bleu", BLEU(tokenize="13a")), ("chrf", CHRF(word_order=2)), ("ter", TER())]
)
def test_values_and_signatures_are_sacrebleus(script: str, name: str, metric: BLEU | CHRF | TER) -> None:
    outputs, references = TEXTS[script]
    (score,) = score_texts(outputs, references, [name], tokenize="13a", resamples=0)
    expected = metric.corpus_score(outputs, [references])
    assert score.value == pytest.approx(expected.score, abs=1e-9)
    assert score.signature == metric.get_signature().format()


@pytest.mark.parametrize("tokenize", ["13a", "intl", "zh", "char", "none"])
def test_every_tokeniser_is_sacrebleus(tokenize: str) -> None:
    outputs, references = TEXTS["han"]
    (score,) = score_texts(outputs, references, ["bleu"], tokenize=tokenize, resamples=0)  # type: ignore[arg-type]
    assert score.value == pytest.approx(BLEU(tokenize=tokenize, force=True).corpus_score(outputs, [references]).score)
    assert f"tok:{tokenize}|" in score.signature


def test_several_references_are_sacrebleus_also_where_their_number_varies() -> None:
    outputs = ["the cat sat on a mat", "two dogs run in the park"]
    references = [["the cat sat on the mat", "a cat sat on a mat"], ["two dogs are running in a park"]]
    streams = [["the cat sat on the mat", "two dogs are running in a park"], ["a cat sat on a mat", None]]
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF(word_order=2)), ("ter", TER())):
        (score,) = score_texts(outputs, references, [name], resamples=0)
        assert score.value == pytest.approx(metric.corpus_score(outputs, streams).score)
        assert score.signature == metric.get_signature().format()
        assert score.signature.startswith("nrefs:var")


def test_the_sum_of_rows_is_the_score_of_those_segments() -> None:
    outputs, references = TEXTS["latin"]
    statistics = bleu(outputs, [(text,) for text in references], tokenize="13a")
    chosen = [0, 1, 1]
    (value,) = statistics.value(statistics.row_EQ[chosen].sum(0, keepdims=True))
    drawn = BLEU().corpus_score([outputs[i] for i in chosen], [[references[i] for i in chosen]])
    assert value == pytest.approx(drawn.score)


def test_asian_text_has_its_characters_counted_by_ter() -> None:
    outputs, references = TEXTS["han"]
    (score,) = score_texts(outputs, references, ["ter"], resamples=0)
    assert "asian:yes" in score.signature
    assert score.counts["reference_words"] > 10


def test_the_counts_are_those_of_the_corpus() -> None:
    (score,) = score_texts(["a b c d", "a b"], ["a b c e", "a b"], ["bleu"], resamples=0)
    assert score.counts["output_words"] == 6
    assert score.counts["matched_1_grams"] == 5
    assert score.counts["output_4_grams"] == 1


def test_a_thousand_resamples_of_a_thousand_segments_take_seconds() -> None:
    words = [f"w{number}" for number in range(400)]
    chance = np.random.default_rng(1)
    references = [" ".join(chance.choice(words, size=12)) for _ in range(1000)]
    outputs = [text.replace("w1", "w2") for text in references]
    start = time.process_time()
    (score,) = score_texts(outputs, references, ["bleu"], resamples=1000)
    assert time.process_time() - start < 3
    assert 0 < score.low < score.value < score.high < 100
