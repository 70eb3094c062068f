"""The whole road for recordings: train, resume, predict, evaluate, score and inspect, on tones made here."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from seqsmith import config
from seqsmith.cli.main import run
from seqsmith.cli.text_task import TextTask, open_text_task
from seqsmith.cli.transcribe import _names as names_of
from seqsmith.data.columns import placed
from seqsmith.data.corpus import read_rows
from seqsmith.data.counts import Counts
from seqsmith.demo.tones import write_tones
from seqsmith.predictor import Predictor
from seqsmith.speech import columns
from seqsmith.train.journal import read_journal
from speech.sounds import tone, write

TINY = {
    "model.encoder.width": 16,
    "model.encoder.layers": 1,
    "model.decoder.width": 16,
    "model.embedding": 8,
    "train.updates": 4,
    "train.validate_every": 2,
    "train.precision": "fp32",
    "train.threads": 1,
}
SETTINGS = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Tones and a model of them."""
    folder = tmp_path_factory.mktemp("speech")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQSMITH_CACHE", str(folder / "cache"))
        train, _ = write_tones(folder / "tones", recordings=40)
        assert run(["train", str(train), "--out", str(folder / "run"), "--quiet", *SETTINGS]) == 0
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQSMITH_CACHE", str(tmp_path / "cache"))


def sounds(folder: Path, count: int) -> list[str]:
    return [str(folder / "tones" / "recordings" / f"{number:05}.wav") for number in range(count)]


def test_predict_writes_a_line_for_each_recording_in_order(folder, capsys):
    names = sounds(folder, 3)
    assert run(["predict", str(folder / "run/model"), *names, "--format", "tsv"]) == 0
    rows = [row.split("\t") for row in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == names


def test_a_recording_that_cannot_be_read_takes_no_answer_from_others(folder, tmp_path, capsys):
    names = sounds(folder, 2)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(Path(names[0]).read_bytes()[:60])
    out = tmp_path / "answers.tsv"
    words = ["predict", str(folder / "run/model"), names[0], str(broken), names[1], "--out", str(out)]
    assert run(words) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"seqsmith: {broken}: ")
    assert told[1].startswith("seqsmith: 2 of 3 answers were cut at the longest length allowed (search.longest")
    assert told[2:] == [
        "seqsmith: 1 of 3 recordings could not be read (see above) and have an empty answer, the first is "
        f"{broken}. All others are answered."
    ]
    rows = [row.split("\t") for row in out.read_text().splitlines()]
    assert [row[0] for row in rows] == [names[0], str(broken), names[1]]
    assert rows[1][1:] == ["", "-inf"]
    assert run([*words[:-2], "--format", "jsonl"]) == 2
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["score"] is None for one in found] == [False, True, False]
    assert run(["predict", str(folder / "run/model"), str(broken)]) == 2
    assert capsys.readouterr().out == ""


def test_a_recording_on_standard_input_is_told(folder, capsys, monkeypatch):
    sound = Path(sounds(folder, 1)[0]).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sound)))
    assert run(["predict", str(folder / "run/model")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("seqsmith: standard input:1: ")


def test_neighbours_change_no_answer(folder):
    predictor = Predictor.open(folder / "run/model", engine="torch")
    names = sounds(folder, 4)
    together = predictor.predict(names)
    for name, prediction in zip(names, together, strict=True):
        alone = predictor.predict([name])[0]
        assert alone.text == prediction.text
        assert alone.score == pytest.approx(prediction.score, abs=1e-3)


@pytest.mark.parametrize("search", [{"ctc": 0.0}, {"ctc": 0.4, "beam": 1}, {"ctc": 1.0}, {"ctc": 1.0, "beam": 1}])
def test_every_way_to_answer_answers(folder, search):
    predictor = Predictor.open(folder / "run/model", engine="torch")
    found = predictor.predict(sounds(folder, 3), **search)
    assert all(np.isfinite(prediction.score) for prediction in found)


def test_words_have_times_within_the_recording(folder, capsys):
    name = sounds(folder, 1)[0]
    assert run(["predict", str(folder / "run/model"), name, f"{name}#t=0.1,0.4", "--format", "json"]) == 0
    whole, part = json.loads(capsys.readouterr().out)
    assert whole["source"] == name
    for found in (whole, part):
        edges = [edge for word in found["words"] for edge in (word["start"], word["end"])]
        assert edges == sorted(edges)
        assert " ".join(word["word"] for word in found["words"]) == found["text"]
    assert all(word["end"] <= 0.4 for word in part["words"])


def test_several_answers_to_a_recording_are_written_with_its_number(folder, capsys):
    words = ["predict", str(folder / "run/model"), *sounds(folder, 2)]
    assert run(words) == 0
    best = capsys.readouterr().out.splitlines()
    assert run([*words, "--nbest", "3"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["1"] * 3 + ["2"] * 3
    assert [rows[0][2], rows[3][2]] == best
    assert float(rows[0][1]) >= float(rows[1][1]) >= float(rows[2][1])
    assert run([*words, "--nbest", "3", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["text"] for one in found[1]["nbest"]] == [row[2] for row in rows[3:]]
    assert run([*words, "--nbest", "3", "--format", "tsv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_subtitles_are_of_one_recording(folder, capsys):
    assert run(["predict", str(folder / "run/model"), *sounds(folder, 1), "--format", "vtt"]) == 0
    assert capsys.readouterr().out.startswith("WEBVTT")
    assert run(["predict", str(folder / "run/model"), *sounds(folder, 2), "--format", "srt"]) == 2
    assert "subtitles belong to one recording, found 2" in capsys.readouterr().err


def test_manifests_and_standard_input_name_recordings_too(folder, capsys, monkeypatch):
    manifest = str(folder / "tones/test.tsv")
    assert run(["predict", str(folder / "run/model"), manifest]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    listed = "".join(f"{name}\n" for name in sounds(folder, 4))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listed.encode())))
    assert run(["predict", str(folder / "run/model")]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_evaluate_counts_edits_and_score_takes_pairs(folder, capsys):
    manifest = str(folder / "tones/test.tsv")
    assert run(["evaluate", str(folder / "run/model"), manifest, "--worst", "1"]) == 0
    shown = capsys.readouterr().out
    assert "CER" in shown
    assert "substitutions" in shown
    assert run(["score", str(folder / "run/model"), manifest]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_long_recording_is_cut_at_silences_and_joined(folder):
    predictor = Predictor.open(folder / "run/model", engine="torch")
    long = ",".join(sounds(folder, 12))
    prediction = predictor.predict([long])[0]
    assert len(prediction.parts) > 1
    assert prediction.text.split() == " ".join(prediction.parts).split()
    times = predictor.times(prediction)
    assert [word.text for word in times] == prediction.text.split()
    edges = [edge for word in times for edge in (word.start_seconds, word.end_seconds)]
    assert edges == sorted(edges)
    assert edges[-1] <= sum(soundfile.info(name).duration for name in sounds(folder, 12))


def test_resuming_goes_on_as_if_the_run_had_never_stopped(folder, tmp_path):
    def weights(out: Path) -> bytes:
        return sorted((out / "checkpoints").iterdir())[-1].joinpath("weights.safetensors").read_bytes()

    train = str(folder / "tones/train.tsv")
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert run(["train", train, "--out", str(whole), "--quiet", *SETTINGS]) == 0
    assert run(["train", train, "--out", str(parted), "--quiet", *SETTINGS, "--set", "train.minutes=0.0001"]) == 0
    text = (parted / "config.toml").read_text().replace("minutes = 0.0001\n", "")
    (parted / "config.toml").write_text(text)
    assert run(["train", "--resume", "--out", str(parted), "--quiet"]) == 0
    assert weights(whole) == weights(parted)


def test_inspect_names_broken_recordings_with_their_lines(folder, tmp_path, capsys):
    good = sounds(folder, 1)[0]
    (tmp_path / "cut.wav").write_bytes(Path(good).read_bytes()[:-100])
    rows = [f"{good}\t12", "cut.wav\t34", "gone.wav\t56", f"{good}\t{'7' * 500}"]
    (tmp_path / "m.tsv").write_text("\n".join(["path\ttext", *rows]) + "\n")
    assert run(["inspect", str(tmp_path / "m.tsv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recordings"] == 2
    assert [one["line"] for one in found["broken"]] == [3, 4]
    assert "cut off" in found["broken"][0]["why"]
    assert "no such recording" in found["broken"][1]["why"]
    assert found["fast"] == [5]
    assert run(["inspect", str(tmp_path / "m.tsv")]) == 0
    assert f"{tmp_path / 'm.tsv'}:3: " in capsys.readouterr().out


def test_columns_are_found_by_name_and_recordings_in_another_folder(folder, tmp_path, capsys):
    manifest = tmp_path / "m.csv"
    manifest.write_text('speaker,sentence,files,start,end\nann,12,00000.wav,0.0,0.3\nbob,3,"00001.wav,00002.wav",,\n')
    assert run(["evaluate", str(folder / "run/model"), str(manifest)]) == 2
    assert "00000.wav: no such recording" in capsys.readouterr().err
    place = f"data.audio_folder={folder / 'tones/recordings'}"
    assert run(["evaluate", str(folder / "run/model"), str(manifest), "--set", place]) == 0
    assert "2 pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["notes.doc"], "notes.doc: expected a recording"),
        (["gone.wav"], "gone.wav: no such recording"),
        (["a.wav", "--format", "csv"], "--format csv: a model that hears writes text, tsv, json, jsonl, srt, vtt"),
        (["a.wav", "--out", "a.csv"], "--out a.csv: a model that hears writes text, tsv, json, jsonl, srt, vtt"),
        (["a.wav", "--out", "a.xlsx"], "--out a.xlsx: expected a name that ends in .txt, .tsv, .csv or .jsonl"),
        (["a.wav", "b.wav", "--out", "a.srt"], "--out a.srt: subtitles belong to one recording, found 2."),
        (["a.wav", "--nbest", "3", "--format", "srt"], "--format srt: subtitles show the best answer alone."),
    ],
)
def test_mistakes_are_said(folder, capsys, arguments, message):
    assert run(["predict", str(folder / "run/model"), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.copy_source=true"], "copies source tokens, and recordings have none"),
        (["model.ctc=0", "search.ctc=0.3"], "search.ctc: where model.ctc = 0, there is no CTC head."),
        (["joint_vocabulary=true"], "joint_vocabulary: means nothing where sources are recordings."),
        (["model.ctc=1.0", "search.ctc=0.3"], "search.ctc: where model.ctc = 1, only the CTC head is trained."),
    ],
)
def test_what_means_nothing_for_recordings_is_refused(folder, tmp_path, capsys, settings, message):
    given = [word for setting in settings for word in ("--set", setting)]
    manifest = str(folder / "tones" / "train.tsv")
    assert run(["train", manifest, "--out", str(tmp_path / "r"), *SETTINGS, *given]) == 2
    assert message in capsys.readouterr().err


def test_a_model_of_ctc_alone_never_asks_its_decoder(folder, tmp_path, capsys):
    manifest = str(folder / "tones" / "train.tsv")
    out = str(tmp_path / "r")
    assert run(["train", manifest, "--out", out, "--quiet", *SETTINGS, "--set", "model.ctc=1.0"]) == 0
    recording = str(next((folder / "tones").rglob("*.wav")))
    assert run(["predict", f"{out}/model", recording, "--set", "search.ctc=0.3"]) == 2
    assert "search.ctc: only the CTC head of this model was trained" in capsys.readouterr().err
    assert run(["score", f"{out}/model", manifest]) == 2
    assert "only the CTC head of this model was trained (model.ctc = 1)" in capsys.readouterr().err
    (tmp_path / "texts.txt").write_text("7\n" * 20)
    told = ["--set", f"search.language_model={tmp_path / 'texts.txt'}", "--set", "search.language_weight=50"]
    assert run(["predict", f"{out}/model", recording, "--beam", "3", *told]) == 0
    assert capsys.readouterr().out == "7\n"


def test_start_and_end_may_be_numbers_and_dev_is_refused_when_inspecting(folder, tmp_path, capsys):
    recording = str(next((folder / "tones").rglob("*.wav")))
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"audio": recording, "text": "1", "start": 0.1, "end": 0.3}) + "\n")
    assert run(["inspect", str(manifest)]) == 0
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"audio": [recording], "text": ["1"], "start": [0.1], "end": [0.3]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "m.parquet")
    assert run(["inspect", str(tmp_path / "m.parquet")]) == 0
    assert run(["inspect", str(manifest), "--dev", str(manifest)]) == 2
    assert "overlap is looked for in pairs of text alone" in capsys.readouterr().err


def test_other_options_of_predict_are_refused_where_they_mean_nothing(tmp_path, capsys):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{'ab' * (n % 5 + 1)}{n}\t{n}\n" for n in range(40)))
    assert run(["train", str(pairs), "--out", str(tmp_path / "run"), "--quiet", *SETTINGS]) == 0
    model = str(tmp_path / "run/model")
    assert run(["predict", model, "a.txt", "b.txt"]) == 2
    assert "expected one INPUT, found 2" in capsys.readouterr().err
    assert run(["predict", model, "a.txt", "--format", "srt"]) == 2
    assert "only models that hear recordings write srt" in capsys.readouterr().err


def test_training_names_the_manifests_line_of_a_broken_recording(folder, tmp_path, capsys):
    names = sounds(folder, 12)
    (tmp_path / "cut.wav").write_bytes(Path(names[0]).read_bytes()[:-100])
    rows = [f"{name}\t{number}" for number, name in enumerate(names)]
    for place, broken in ((5, "cut.wav"), (9, f"{names[0]}, cut.wav")):  # alone, and joined to a good one
        (tmp_path / "m.tsv").write_text("\n".join(["path\ttext", *rows[:place], f"{broken}\t7", *rows[place:]]) + "\n")
        assert run(["train", str(tmp_path / "m.tsv"), "--out", str(tmp_path / "run"), *SETTINGS]) == 2
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith(f"seqsmith: {tmp_path / 'm.tsv'}:{place + 2}: {tmp_path / 'cut.wav'}: ")
        assert "cut off" in told


def test_a_model_of_recordings_is_told_by_its_channels(folder, capsys):
    assert run(["inspect", str(folder / "run/model")]) == 0
    assert "target symbols, 64 channels a frame" in capsys.readouterr().out.splitlines()[2]


def test_r_drop_is_learnt_with_beside_a_ctc_head(folder, tmp_path):
    manifest, out = str(folder / "tones" / "train.tsv"), str(tmp_path / "run")
    more = ("--set", "train.r_drop=5", "--set", "train.updates=15", "--set", "train.rate=0.01")
    assert run(["train", manifest, "--out", out, "--quiet", *SETTINGS, *more]) == 0
    losses = [event["loss"] for event in read_journal(tmp_path / "run" / "journal.jsonl") if event["event"] == "update"]
    assert losses[-1] < 0.8 * losses[0]


def test_what_only_recordings_have_can_be_set_without_saying_that_they_are_recordings(folder, tmp_path):
    manifest, out = str(folder / "tones" / "train.tsv"), str(tmp_path / "run")
    more = ("--set", "source.deltas=1", "--set", "source.augment.bend=0.01", "--set", "train.updates=2")
    assert run(["train", manifest, "--out", out, "--quiet", *SETTINGS, *more]) == 0
    start = next(event for event in read_journal(tmp_path / "run" / "journal.jsonl") if event["event"] == "start")
    assert (start["settings"]["source"]["kind"], start["settings"]["source"]["deltas"]) == ("speech", 1)


def test_features_are_no_recordings_and_a_decimal_comma_is_told(folder, tmp_path, capsys):
    features = tmp_path / "a.npy"
    np.save(features, np.zeros((50, 80), np.float32))
    assert run(["predict", str(folder / "run/model"), str(features)]) == 2
    assert "ready-made features, but this model takes recordings" in capsys.readouterr().err
    manifest = tmp_path / "parts.csv"
    manifest.write_text(f'path,text,start,end\n{sounds(folder, 1)[0]},1 2,"0,1",0.5\n')
    assert run(["evaluate", str(folder / "run/model"), str(manifest)]) == 2
    assert "parts.csv:2: the start is '0,1'; expected seconds such as 1.5." in capsys.readouterr().err


def test_inspect_names_what_is_too_short_to_be_heard(tmp_path, capsys):
    soundfile.write(tmp_path / "tick.wav", np.ones(100) * 0.1, 16_000)
    (tmp_path / "m.tsv").write_text("path\ttext\ntick.wav\t1\n")
    assert run(["inspect", str(tmp_path / "m.tsv")]) == 0
    assert "tick.wav: 0.006 seconds are less than one frame of 0.025." in capsys.readouterr().out


@pytest.mark.parametrize("augment", ["gain=6.0", "noise=20.0", "speeds=[0.9, 1.1]"])
def test_augmented_sounds_are_analysed_exactly_while_half_precision_is_tried(folder, tmp_path, capsys, augment):
    manifest, out = str(folder / "tones" / "train.tsv"), str(tmp_path / "run")
    more = ("--set", f"source.augment.{augment}", "--set", "train.precision=auto", "--set", "train.updates=2")
    assert run(["train", manifest, "--out", out, *SETTINGS, *more]) == 0
    assert "Precision: " in capsys.readouterr().err


def test_pieces_of_one_frame_and_seconds_below_one_are_told(folder, tmp_path, capsys):
    manifest, out = str(folder / "tones" / "train.tsv"), str(tmp_path / "run")
    assert run(["train", manifest, "--out", out, *SETTINGS, "--set", "source.longest_piece=1"]) == 2
    assert "source.longest_piece: found 1, expected" in capsys.readouterr().err
    assert run(["train", manifest, "--out", out, *SETTINGS, "--set", "source.longest_seconds=0.5"]) == 2
    assert "seconds, expected at most 0.5. Cut it" in capsys.readouterr().err
    assert run(["train", manifest, "--out", out, *SETTINGS, "--set", "data.longest_source=1"]) == 2
    assert "with a source of more than 1 frames (the first at" in capsys.readouterr().err


SMALL_CONFORMER = ("model.encoder.kind=conformer", "model.encoder.heads=2", "model.encoder.feed_forward=32")
SMALL_TRANSFORMER = ("model.family=transformer", "model.encoder.heads=2", "model.decoder.heads=2")
CTC_ALONE = (*SMALL_TRANSFORMER, "model.share_embeddings=none", "model.ctc=1")


@pytest.mark.parametrize("more", [(), SMALL_CONFORMER, CTC_ALONE])
def test_recordings_are_learnt_in_half_precision_too(folder, tmp_path, more):
    manifest, out = str(folder / "tones" / "train.tsv"), str(tmp_path / "run")
    settings = ("train.precision=bf16", "source.augment.gain=6.0", "train.updates=30", "train.rate=0.01", *more)
    words = [word for setting in settings for word in ("--set", setting)]
    assert run(["train", manifest, "--out", out, "--quiet", *SETTINGS, *words]) == 0
    losses = [event["loss"] for event in read_journal(tmp_path / "run" / "journal.jsonl") if event["event"] == "update"]
    assert min(losses[-3:]) < 0.95 * losses[0]


def test_lines_without_a_recording_are_told_and_odd_names_stay_on_their_line(folder, tmp_path, capsys, monkeypatch):
    odd = tmp_path / "a\tb.wav"
    odd.write_bytes(Path(sounds(folder, 1)[0]).read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{sounds(folder, 1)[0]}\n\n".encode())))
    assert run(["predict", str(folder / "run/model")]) == 0
    told = capsys.readouterr()
    assert "1 lines name no recording, and have an empty answer." in told.err
    assert len(told.out.splitlines()) == 2
    assert run(["predict", str(folder / "run/model"), str(odd), "--format", "tsv"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert len(line.split("\t")) == 3


def test_recordings_of_another_rate_are_counted_wherever_they_are_heard(folder, tmp_path, capsys):
    odd = write(tmp_path / "odd.wav", tone(rate_hz=44_100), 44_100)
    names = [*sounds(folder, 20), odd, f"{sounds(folder, 1)[0]},{odd}"]
    told = f"recordings are resampled to the model's 8,000 Hz, the first is {odd} at 44,100 Hz."
    assert run(["predict", str(folder / "run/model"), *names]) == 0
    assert f"seqsmith: 2 of 22 {told}" in capsys.readouterr().err
    (tmp_path / "m.tsv").write_text("path\ttext\n" + "".join(f"{name}\t12\n" for name in names))
    assert run(["evaluate", str(folder / "run/model"), str(tmp_path / "m.tsv")]) == 0
    assert f"seqsmith: 2 of 22 {told}" in capsys.readouterr().err
    assert run(["train", str(tmp_path / "m.tsv"), "--out", str(tmp_path / "r"), *SETTINGS]) == 0
    heard = " ".join(capsys.readouterr().err.split())  # which is the first depends on the split, and that on the names
    assert f"Of those looked at, 2 of 22 {told.partition(',000 Hz')[0]},000 Hz, the first is " in heard
    assert run(["predict", str(folder / "run/model"), *sounds(folder, 2)]) == 0
    assert "resampled" not in capsys.readouterr().err


def test_a_part_of_no_sample_is_told(folder, capsys):
    assert run(["predict", str(folder / "run/model"), f"{sounds(folder, 1)[0]}#t=0,1e-9"]) == 2
    assert "between 0 and 1e-09 seconds there is not one sample. Take a longer part." in capsys.readouterr().err


def test_odd_names_of_recordings_are_told_with_their_line(folder, tmp_path, capsys):
    sound = sounds(folder, 1)[0]
    hashed = tmp_path / "a#t=1.wav"
    hashed.write_bytes(Path(sound).read_bytes())
    assert run(["predict", str(folder / "run/model"), str(hashed)]) == 0
    (tmp_path / "d.wav").mkdir()
    assert run(["predict", str(folder / "run/model"), str(tmp_path / "d.wav")]) == 2
    assert "d.wav: a folder, where a recording is expected." in capsys.readouterr().err
    rows = [f"{name}\t1 2\n" for name in (*sounds(folder, 20), f"{sound}#t=foo")]
    (tmp_path / "m.tsv").write_text("path\ttext\n" + "".join(rows))
    assert run(["train", str(tmp_path / "m.tsv"), "--out", str(tmp_path / "r"), *SETTINGS]) == 2
    told = capsys.readouterr().err
    assert f"m.tsv:22: {sound}#t=foo: found 'foo' for a start or end, expected seconds" in told


def test_a_list_of_recordings_and_one_of_transcripts_go_the_whole_road(folder, tmp_path, capsys):
    manifest = [row.split("\t") for row in (folder / "tones" / "train.tsv").read_text().splitlines()[1:]]
    files, texts = str(tmp_path / "files.txt"), str(tmp_path / "texts.txt")
    Path(files).write_text("".join(f"{folder / 'tones' / name}\n" for name, _ in manifest))
    Path(texts).write_text("".join(f"{text}\n" for _, text in manifest))
    assert run(["train", files, texts, "--out", str(tmp_path / "run"), *SETTINGS]) == 0
    assert "source.kind=speech" in capsys.readouterr().err
    assert run(["evaluate", str(tmp_path / "run/model"), files, texts]) == 0
    assert f"{len(manifest)} pairs of {files}" in capsys.readouterr().out
    assert run(["predict", str(tmp_path / "run/model"), files]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(manifest)
    with open(files, "a") as file:
        file.write("gone.wav\n")
    with open(texts, "a") as file:
        file.write("1 2\n")
    for verb in ("evaluate", "score"):
        assert run([verb, str(tmp_path / "run/model"), files, texts]) == 2
        assert (
            f"seqsmith: {files}:{len(manifest) + 1}: {tmp_path / 'gone.wav'}: no such recording."
            in capsys.readouterr().err
        )


def test_names_with_commas_and_parts_are_found_in_manifests(folder, tmp_path, capsys):
    sound = sounds(folder, 1)[0]
    for name in ("hello, you.wav", "a#t=1.wav", "b.wav"):
        (tmp_path / name).write_bytes(Path(sound).read_bytes())
    names = ("hello, you.wav", "a#t=1.wav", "b.wav#t=0.1,0.4", "b.wav, b.wav")
    manifest = tmp_path / "m.tsv"
    manifest.write_text("path\ttext\n" + "".join(f"{name}\t1\n" for name in names))
    assert run(["inspect", str(manifest)]) == 0
    told = capsys.readouterr().out
    assert "4 recordings that can be read" in told
    assert "seconds: 0.30 to" in told
    manifest.write_text('path,text,start,end\n"b.wav,b.wav",1,0.1,0.4\n')
    manifest.rename(tmp_path / "m.csv")
    assert run(["predict", str(folder / "run/model"), str(tmp_path / "m.csv")]) == 2
    assert "no such recording" not in capsys.readouterr().err
    manifest.write_text("clip\tsaid\nb.wav\t1\n")
    assert run(["evaluate", str(folder / "run/model"), str(manifest)]) == 2
    assert "clip: no such recording." in (told := capsys.readouterr().err)
    assert "Is it the name of a column? Set data.header=true." in told


def test_inspect_places_odd_features_and_takes_short_ones(tmp_path, capsys):
    for name, shape in (("a.npy", (1, 13)), ("b.npy", (40, 13)), ("c.npy", (40, 12))):
        np.save(tmp_path / name, np.ones(shape, np.float32))
    (tmp_path / "m.tsv").write_text("path\ttext\na.npy\t1\nb.npy\t1\nc.npy\t1\n")
    assert run(["inspect", str(tmp_path / "m.tsv")]) == 0
    told = capsys.readouterr().out
    assert "broken" not in told
    assert f"1 times features of 12 channels, the first at {tmp_path / 'm.tsv'}:4" in told


def test_inspect_takes_the_part_of_features_that_is_meant(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.ones((300, 13), np.float32))
    (tmp_path / "m.csv").write_text("path,text,start,end\na.npy,1,1,1.5\na.npy,1,1,99\n")
    assert run(["inspect", str(tmp_path / "m.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["recordings"], found["seconds"]["most"]) == (1, 0.5)
    assert [one["line"] for one in found["broken"]] == [3]


@pytest.mark.parametrize("start", [float("nan"), float("inf")])
def test_a_start_that_is_no_time_is_told_with_its_line(tmp_path, capsys, start):
    np.save(tmp_path / "a.npy", np.ones((300, 13), np.float32))
    (tmp_path / "m.jsonl").write_text(json.dumps({"path": "a.npy", "text": "1", "start": start}) + "\n")
    assert run(["inspect", str(tmp_path / "m.jsonl")]) == 2
    assert f"m.jsonl:1: the start is '{start}'; expected seconds such as 1.5." in capsys.readouterr().err


def test_lines_of_a_list_and_cells_of_a_manifest_that_name_no_recording_are_told(folder, tmp_path, capsys):
    sound = sounds(folder, 1)[0]
    (tmp_path / "l.txt").write_text(f"{sound}\n\n{sound}\n")
    (tmp_path / "m.csv").write_text(f"path,start\n{sound},\n,0.1\n{sound},\n")
    for name in ("l.txt", "m.csv"):
        assert run(["predict", str(folder / "run/model"), str(tmp_path / name)]) == 0
        told = capsys.readouterr()
        assert "1 lines name no recording, and have an empty answer." in told.err
        assert (len(told.out.splitlines()), told.out.splitlines()[1]) == (3, "")


def test_the_first_row_of_a_manifest_is_read_as_in_training_and_that_of_a_list_is_an_example(folder, tmp_path):
    settings = Predictor.open(folder / "run/model").settings
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"header": True})})
    for name, rows in (("m.tsv", 1), ("l.txt", 2)):
        (tmp_path / name).write_text("clip\na.wav\n")
        assert len(list(names_of(str(tmp_path / name), settings, {}))) == rows


def stretched_task(tmp_path: Path) -> TextTask:
    """A training of 90 feature matrices of 30 to 199 frames, which it stretches by up to a third."""
    lengths = np.random.default_rng(1).integers(30, 200, 90).tolist()
    for number, length in enumerate(lengths):
        np.save(tmp_path / f"{number}.npy", np.random.default_rng(number).normal(size=(length, 5)).astype(np.float32))
    rows = (f"{number}.npy\t{'ab' * (length // 40)}" for number, length in enumerate(lengths))
    (tmp_path / "m.tsv").write_text("path\ttext\n" + "\n".join(rows) + "\n")
    table = {
        "data": {"train": [{"path": str(tmp_path / "m.tsv")}]},
        "source": {"kind": "speech", "augment": {"tempo": 0.3}},
        "train": {"batch_tokens": 600},
    }
    return open_text_task(table, tmp_path / "run", torch.device("cpu"), resume=False, say=lambda _: None)


def test_batches_of_stretched_recordings_have_little_padding(tmp_path: Path) -> None:
    task = stretched_task(tmp_path)
    batches = [task.batches(1)[number] for number in range(len(task.batches(1)))]
    real = sum(int(batch.source.length_B.sum()) for batch in batches)
    assert real / sum(batch.source.valid_BL.numel() for batch in batches) > 0.93  # as planned before stretching: 0.83
    assert max(batch.source.valid_BL.numel() for batch in batches) <= 600


def test_a_long_recording_is_cut_while_training_as_it_is_afterwards(tmp_path: Path) -> None:
    task = stretched_task(tmp_path)
    longest = int(task.prepared.train.source.lengths.max() / 0.7)  # as long as what it heard stretched
    assert task.settings.source.longest_piece == longest
    codec = task.prepared.featuriser.source
    assert [len(codec.pieces(np.zeros((length, 5), np.float32))) for length in (longest, longest + 1)] == [1, 2]


def test_parts_of_recordings_need_not_be_told_in_every_object(tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    rows = [
        {"path": "a.wav"},
        {"path": "b.wav", "start": 0.5, "end": 2},
        {"path": "c.wav", "end": 1},
        {"path": "d.wav"},
    ]
    manifest.write_text("".join(json.dumps(row | {"text": "one"}) + "\n" for row in rows))
    counts = Counts()
    roles = columns.roles(config.Data())
    blocks = read_rows(config.Corpus(path=str(manifest)), roles, config.Data(), counts)
    names = [Path(name).name for rows in blocks for name in placed(rows, roles, tmp_path).fields["source"]]
    assert names == ["a.wav", "b.wav#t=0.5,2", "c.wav#t=,1", "d.wav"]
    assert counts.unused_columns.count == 0
