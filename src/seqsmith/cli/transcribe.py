"""`seqsmith predict` for models that hear: recordings or manifests in, texts, timed words or subtitles out."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, assert_never

from seqsmith import config, runtime
from seqsmith.cli.program import note
from seqsmith.cli.write import one_line, replacing
from seqsmith.data.columns import placed
from seqsmith.data.corpus import Counts, read_every_row, read_lines
from seqsmith.data.files import suffix
from seqsmith.data.kinds import RECORDINGS, TABLES
from seqsmith.errors import UserError
from seqsmith.featurise import roles
from seqsmith.predictor import Candidate, Prediction, Predictor
from seqsmith.speech.subtitles import Timed, captions, srt, vtt
from seqsmith.speech.survey import tell_rates

Format = Literal["text", "tsv", "json", "jsonl", "srt", "vtt"]
_TIMED = ("json", "jsonl", "srt", "vtt")  # formats that tell when each word is said
_AT_ONCE = 64  # recordings


def transcribe(
    folders: Sequence[Path],
    inputs: Sequence[str],
    *,
    output: Path | None,
    form: Format | Literal["csv"] | None,
    asked: str,
    search: dict[str, Any],
    data: dict[str, Any],
    threads: int | None,
) -> None:
    """Write what is said in each recording, in order; a line each unless the format says otherwise.

    One that cannot be read has an empty answer among several, and is told. Raises UserError when all others are done.
    `asked` is the option that the form is from.
    """
    runtime.keep_memory()
    predictor = Predictor.open(*folders, engine="torch", threads=runtime.threads(threads)).with_search(**search)
    if form == "csv":
        raise UserError(f"{asked}: a model that hears writes text, tsv, json, jsonl, srt, vtt.")
    chosen = form or "text"
    names = [name for given in inputs for name in _names(given, predictor.settings, data)]
    if chosen in ("srt", "vtt") and len(names) != 1:
        raise UserError(f"{asked}: subtitles belong to one recording, found {len(names)}. Give one at a time.")
    if "" in names:
        note(f"{names.count(''):,} lines name no recording, and have an empty answer.")
    several = predictor.settings.search.nbest > 1
    if several and chosen in ("srt", "vtt"):
        raise UserError(f"{asked}: subtitles show the best answer alone. Leave --nbest out.")
    assert isinstance(predictor.settings.source, config.SpeechSource)
    tell_rates([name for name in names if name], predictor.settings.source, note)
    unread: list[str] = []
    answers = _answers(predictor, names, unread, timed=chosen in _TIMED)
    with nullcontext(sys.stdout) if output is None else replacing(output) as file:
        if chosen == "json":
            found = [_as_dict(one, words) for one, words in answers]
            file.write(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        else:
            for number, (prediction, words) in enumerate(answers, 1):
                file.write(_rendered(prediction, words, chosen, number if several else None))
                file.flush()
    if unread:
        raise UserError(
            f"{len(unread):,} of {len(names):,} recordings could not be read (see above) and have an empty answer, the "
            f"first is {unread[0]}. All others are answered."
        )


def _names(given: str, settings: config.Settings, data: dict[str, Any]) -> Iterator[str]:
    """A recording names itself, a manifest or a list those in it, standard input one a line."""
    if given == "-":
        for lines in read_lines(given, config.Data(), Counts()):
            yield from map(str.strip, lines.texts)
        return
    if suffix(given if Path(given).exists() else given.split("#t=")[0]) in RECORDINGS:
        yield given
        return
    if suffix(given) not in (*TABLES, ".txt"):
        raise UserError(
            f"{given}: expected a recording ({', '.join(RECORDINGS)}), a manifest of them (.tsv, .csv, .jsonl) or "
            "a list (.txt)."
        )
    others = {"train", "dev", "audio_folder", *(() if suffix(given) in TABLES else ("header",))}  # a list has no header
    table = settings.data.model_dump(exclude=others, exclude_none=True) | data
    reading = config.build({"data": table}, where="predict").data
    some = [role for role in roles(settings, reading) if role.name != "target"]
    counts = Counts()
    for rows in read_every_row(config.Corpus(path=given), some, reading, counts):
        yield from placed(rows, some, Path(given).parent).fields["source"]
    for sentence in counts.sentences():
        note(sentence)


def _answers(
    predictor: Predictor, names: Sequence[str], unread: list[str], *, timed: bool
) -> Iterator[tuple[Prediction, Sequence[Timed]]]:
    """The answers in order; names of recordings that cannot be read are put into `unread`.

    Says at the end how many answers were cut.
    """
    cut: list[str] = []
    for first in range(0, len(names), _AT_ONCE):
        block = names[first : first + _AT_ONCE]
        named = [name for name in block if name]
        try:
            found: list[Prediction | None] = list(predictor.predict(named))
        except UserError:
            if len(names) == 1:
                raise
            found = [_alone(predictor, name) for name in named]
        answers = iter(found)
        for name in block:
            prediction = next(answers) if name else None
            if prediction is None:
                unread += [name] if name else []
                yield Prediction(name, (Candidate("", -math.inf, -math.inf, True),)), ()
            else:
                cut += [] if prediction.nbest[0].ended else [name]
                yield prediction, predictor.times(prediction) if timed else ()
    if cut:
        note(
            f"{len(cut):,} of {len(names):,} answers were cut at the longest length allowed (search.longest, "
            f"longest_ratio), the first is of {cut[0]}."
        )


def _alone(predictor: Predictor, name: str) -> Prediction | None:
    try:
        return predictor.predict([name])[0]
    except UserError as error:
        note(str(error))
        return None


def _rendered(prediction: Prediction, words: Sequence[Timed], form: Format, number: int | None) -> str:
    """A number is given where there may be several answers, to tell whose they are."""
    answers = [(" ".join(one.text.split()), one.score) for one in prediction.nbest]
    match form:
        case "text" if number is None:
            return answers[0][0] + "\n"
        case "text":
            return "".join(f"{number}\t{score:.4f}\t{text}\n" for text, score in answers)
        case "tsv":
            name = one_line(prediction.source)
            return "".join(f"{name}\t{text}\t{score:.4f}\n" for text, score in answers)
        case "jsonl" | "json":
            return json.dumps(_as_dict(prediction, words), ensure_ascii=False) + "\n"
        case "srt":
            return srt(list(captions(words)))
        case "vtt":
            return vtt(list(captions(words)))
    assert_never(form)


def _as_dict(prediction: Prediction, words: Sequence[Timed]) -> dict[str, Any]:
    """The words are those of the best answer."""
    others = [{"text": one.text, "score": one.score} for one in prediction.nbest]
    return {
        "source": prediction.source,
        "text": prediction.text,
        "score": None if math.isinf(prediction.score) else prediction.score,
        "words": [
            {"word": word.text, "start": round(word.start_seconds, 3), "end": round(word.end_seconds, 3)}
            for word in words
        ],
        **({"nbest": others} if len(others) > 1 else {}),
    }
