"""Series on the command line: from a table to a model to rows of the future, and what is said on the way."""

import csv
import io
import json
import shutil
import sys

import numpy as np
import pytest
import torch

from seqsmith import runtime
from seqsmith.cli.main import run
from seqsmith.demo.shops import generate, write_demo
from seqsmith.train.checkpoint import place_of

SMALL = (
    *("--set", "model.encoder.width=8", "--set", "model.decoder.width=8", "--set", "train.threads=1"),
    *("--set", "series.horizon=6", "--set", "series.context=24", "--set", "series.patch=6"),
    *("--set", "train.updates=8", "--set", "train.validate_every=4", "--set", "series.batch_windows=16"),
)


def write(path, *, hours=120, bad=""):
    rows = [f"2024-01-{1 + h // 24:02} {h % 24:02}:00,{10 + 5 * np.sin(h / 4):.3f},{h % 24}\n" for h in range(hours)]
    path.write_text("date,load,heat\n" + "".join(rows) + bad)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A table and a run on it. Read only."""
    place = tmp_path_factory.mktemp("series")
    table = write(place / "table.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQSMITH_CACHE", str(place / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        assert run(["train", str(table), "--out", str(place / "run"), "--quiet", *SMALL]) == 0
    return place


def test_a_table_is_taken_for_series_and_every_choice_is_told(seqsmith, folder):
    found = seqsmith("train", write(folder / "t.csv"), "--out", "r", *SMALL)
    assert found.code == 0
    assert "t.csv is a table of numbers under names or beside times; for text set source.kind=text" in found.err
    assert "t.csv: 120 rows, 1 series of 2 columns, steps of an hour." in found.err
    assert "series.window_scaling=last  (what matters is the change from the last number)" in found.err
    assert "repeat 24 steps" in found.err
    assert (folder / "r" / "model" / "series.json").is_file()


def test_a_small_series_beside_a_large_one_is_forecast_at_its_own_scale(seqsmith, folder):
    lines = [
        f"2024-01-{1 + h // 24:02} {h % 24:02}:00,{shop},{scale * (10 + 5 * np.sin(h / 4)):.6g}\n"
        for shop, scale in (("small", 1), ("large", 1e6))
        for h in range(120)
    ]
    (folder / "t.csv").write_text("date,shop,sales\n" + "".join(lines))
    found = seqsmith("train", "t.csv", "--out", "r", *SMALL)
    assert "series.scaling=group  (some series vary far less than others: each has its own scale)" in found.err
    rows = list(csv.DictReader(io.StringIO(seqsmith("predict", "r/model", "t.csv").out)))
    small, large = ([row for row in rows if row["group"] == name] for name in ("small", "large"))
    assert len(small) == 6
    for few, many in zip(small, large, strict=True):
        for name in ("sales", "sales low", "sales high"):
            assert float(many[name]) == pytest.approx(1e6 * float(few[name]), rel=1e-3)
    scores = seqsmith("evaluate", "r/model", "t.csv", "--report", "r.json")
    assert scores.code == 0
    mase = json.loads((folder / "r.json").read_text())["rows"]["repeat last"]["mase"]
    assert 0.1 < mase < 10


def test_a_column_of_which_nothing_can_be_learnt_is_named(seqsmith, folder):
    lines = [f"2024-01-{1 + h // 24:02} {h % 24:02}:00,{h % 7},{h if h > 110 else ''}\n" for h in range(120)]
    (folder / "t.csv").write_text("date,a,b\n" + "".join(lines))
    found = seqsmith("train", "t.csv", "--out", "r", *SMALL)
    assert (found.code, found.err.splitlines()[-1]) == (
        2,
        "seqsmith: t.csv: no window of the train part has numbers of the column `b` in its context and in its horizon, "
        "so that nothing is learnt of it. Name the others in series.targets, or cut the parts elsewhere "
        "(series.split_rows).",
    )


def test_predict_writes_the_future_with_intervals(seqsmith, trained):
    found = seqsmith("predict", trained / "run" / "model", trained / "table.csv", "--horizon", "8")
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert found.code == 0
    assert [row["time"] for row in rows[:2]] == ["2024-01-06 00:00:00", "2024-01-06 01:00:00"]
    assert len(rows) == 8
    assert list(rows[0]) == ["time", "load", "load low", "load high", "heat", "heat low", "heat high"]
    assert all(float(row["load low"]) <= float(row["load high"]) for row in rows)


def test_models_of_the_same_table_answer_together(seqsmith, trained, folder):
    one, table = trained / "run" / "model", trained / "table.csv"
    assert seqsmith("train", table, "--out", "r", "--quiet", *SMALL, "--set", "seed=2").code == 0
    other = folder / "r" / "model"

    def forecasts(model, *words):
        rows = csv.DictReader(io.StringIO(seqsmith("predict", model, table, *words).out))
        return np.array([[float(row["load"]), float(row["heat low"])] for row in rows])

    alone = forecasts(one), forecasts(other)
    np.testing.assert_allclose(forecasts(one, "--with", other), np.mean(alone, 0), rtol=1e-4)
    report = ("--report", "r.json", "--part", "dev")
    assert seqsmith("evaluate", one, table, "--with", other, *report).code == 0
    found = json.loads((folder / "r.json").read_text())
    assert found["models"] == [str(one), str(other)]
    assert seqsmith("evaluate", one, table, *report).code == 0
    assert json.loads((folder / "r.json").read_text())["scores"]["mse"] != found["scores"]["mse"]
    assert seqsmith("train", table, "--out", "q", "--quiet", *SMALL, "--set", "series.horizon=12").code == 0
    told = seqsmith("predict", one, table, "--with", folder / "q" / "model")
    assert (told.code, told.out) == (2, "")
    assert "its columns, scaling, horizon or loss differ from those of" in told.err


def test_threads_do_not_wait_for_each_other_over_a_few_rows(seqsmith, trained, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    words = ("predict", trained / "run" / "model", trained / "table.csv")
    for more, threads in (((), 1), (("--threads", "2"), 2)):
        assert seqsmith(*words, *more).code == 0
        assert torch.get_num_threads() == threads
    runtime.use_threads(1)


@pytest.mark.parametrize(
    "words", [("predict", "--horizon", "3"), ("predict", "--format", "json"), ("evaluate", "--part", "test")]
)
def test_a_model_that_is_not_there_is_no_model_of_another_kind(seqsmith, trained, words):
    verb, *options = words
    told = seqsmith(verb, "nowhere", trained / "table.csv", *options)
    assert (told.code, told.err) == (2, "seqsmith: nowhere: no such model folder.\n")


def test_large_numbers_keep_the_digits_that_move(seqsmith, folder):
    rows = [f"2024-01-{1 + h // 24:02} {h % 24:02}:00,{1_234_567_890 + np.sin(h / 4):.3f}\n" for h in range(120)]
    (folder / "meter.csv").write_text("date,meter\n" + "".join(rows))
    assert seqsmith("train", "meter.csv", "--out", "r", "--quiet", *SMALL).code == 0
    found = list(csv.DictReader(io.StringIO(seqsmith("predict", "r/model", "meter.csv").out)))
    assert all(abs(float(row["meter"]) - 1_234_567_890) < 50 for row in found)
    assert len({row["meter"] for row in found}) > 1
    assert all(float(row["meter low"]) <= float(row["meter"]) <= float(row["meter high"]) for row in found)


def test_evaluate_stands_beside_the_naive_forecasts_and_reports_both_ways(seqsmith, trained, folder):
    words = ("evaluate", trained / "run" / "model", trained / "table.csv", "--part", "dev")
    found = seqsmith(*words, "--set", "series.drop_last=4", "--report", "r.json", "--plot", "p.svg")
    assert found.code == 0
    assert [line.split("  ")[0] for line in found.out.splitlines()[2:6]] == [
        "model", "repeat last", "repeat 24 steps", "linear"]  # fmt: skip
    assert "12 windows: the last incomplete batch of 4 is left out" in found.out
    assert "coverage there says little" in found.err
    report = json.loads((folder / "r.json").read_text())
    assert report["windows"] == 13
    assert set(report["rows"]) == {"model", "repeat last", "repeat 24 steps", "linear"}
    assert report["scores"]["mse"]["value"] == report["rows"]["model"]["mse"]
    assert report["scores"]["mse"]["low"] is report["scores"]["mse"]["high"] is None
    assert (folder / "p.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(("loss", "name"), [("gaussian", "log_likelihood"), ("mae", "minus_loss")])
def test_score_prints_a_line_for_each_window_and_says_what_it_is(seqsmith, folder, loss, name):
    head, *rows = write(folder / "t.csv").read_text().splitlines(keepends=True)
    (folder / "t.csv").write_text(f"shop,{head}" + "".join(f"{shop},{row}" for shop in "ab" for row in rows))
    assert seqsmith("train", "t.csv", "--out", "r", "--quiet", *SMALL, "--set", f"series.loss={loss}").code == 0
    (folder / "few.csv").write_text(f"shop,{head}" + "".join(f"b,{row}" for row in rows[:32]) + f"b,{rows[39]}")
    found = seqsmith("score", "r/model", "few.csv", "--set", "series.gaps=fill")
    table = list(csv.DictReader(io.StringIO(found.out)))
    assert (found.code, list(table[0])) == (0, ["group", "time", name])
    assert (table[0]["group"], table[0]["time"]) == ("b", "2024-01-02 00:00:00")
    assert len(table) == 40 - 24 - 6 + 1
    assert [row[name] == "nan" for row in table] == [False] * 8 + [True] * 2 + [False]
    assert "2 of 11 windows have no number in their horizon" in found.err
    assert ("the log of their density in the units of the table, in nats" in found.err) == (loss == "gaussian")
    assert ("minus the mae loss, in the units of the training, of what is said of" in found.err) == (loss == "mae")
    wrong = seqsmith("score", "r/model", "few.csv", "--set", "series.horizon=3")
    assert (wrong.code, "series.horizon: belongs to the model" in wrong.err) == (2, True)
    parts = seqsmith("score", "r/model", "few.csv", "--set", "series.dev_share=0.3")
    assert (parts.code, "series.dev_share: belongs to the model or its training" in parts.err) == (2, True)


def test_resuming_a_finished_run_ends_as_it_did_and_goes_on_as_if_it_had_not_stopped(seqsmith, trained, folder):
    table = trained / "table.csv"
    assert seqsmith("train", table, "--out", "half", *SMALL, "--set", "train.updates=8").code == 0
    whole = (trained / "run" / "model" / "model.safetensors").read_bytes()
    assert (folder / "half" / "model" / "model.safetensors").read_bytes() == whole
    shutil.rmtree(place_of(folder / "half" / "checkpoints", 8))
    found = seqsmith("train", "--resume", "--out", "half")
    assert found.code == 0, found.err
    assert (folder / "half" / "model" / "model.safetensors").read_bytes() == whole


def test_inspect_tells_of_tables_models_and_runs(seqsmith, trained):
    found = seqsmith("inspect", trained / "table.csv")
    assert "120 rows, 1 series, 2 columns of numbers" in found.out
    assert "from 2024-01-01 00:00:00 to 2024-01-05 23:00:00, steps of an hour, a season of 24 steps" in found.out
    assert json.loads(seqsmith("inspect", trained / "table.csv", "--json").out)["columns"]["heat"]["high"] == 23
    assert "forecasts 6 steps of load, heat from 24" in seqsmith("inspect", trained / "run" / "model").out
    assert "dev mse" in seqsmith("inspect", trained / "run").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "series.contxt=3"), "unknown setting `series.contxt`. Did you mean `context`?"),
        (("--set", "series.targets=['x']"), "there is no column `x` for series.targets."),
        (("--set", "series.split_rows=[200,10,0]"), "found 200 rows for train and 10 for dev"),
        (("--set", "series.horizon=50", "--set", "series.context=80"), "no window of 80 steps of context and 50 of"),
        (("--set", "train.score=bleu"), "models of numbers are chosen by their own loss"),
        (("--set", "train.start_from=x"), "models of numbers cannot be fine-tuned yet"),
        (("--set", "model.copy_source=true"), "model.copy_source: means nothing where answers are numbers."),
        (("--set", "series.horizon=6", "--set", "target.lowercase=true"), "target.lowercase: means nothing where"),
        (
            ("--set", "series.decoding=direct", "--set", "train.scheduled_sampling=0.5"),
            "train.scheduled_sampling: where series.decoding = 'direct', nothing is fed.",
        ),
        (("--set", "data.source=9"), "data.source: means nothing where answers are numbers."),
        (("--set", "search.beam=3"), "search.beam: means nothing where answers are numbers."),
        (("--set", "train.label_smoothing=0.1"), "train.label_smoothing: means nothing where answers are numbers."),
        (("--set", "train.batch_tokens=100"), "windows are all of one size. Set series.batch_windows instead."),
        (("--set", "series.rollouts=true", "--set", "series.decoding=direct"), "rollouts feed forecasts back"),
        (("--set", "series.loss={kind='quantiles',levels=[0.1,0.9]}"), "levels must rise and have 0.5 among them"),
    ],
)
def test_what_is_wrong_with_settings_of_series_is_said(seqsmith, folder, words, message):
    found = seqsmith("train", write(folder / "t.csv"), "--out", "r", *words)
    assert (found.code, found.out) == (2, "")
    assert message in found.err


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        ("predict", ("--beam", "3"), "search.beam: means nothing to this model, whose answers are numbers."),
        ("predict", ("--attention", "a.svg"), "--attention: means nothing to this model"),
        ("predict", ("--engine", "onnx"), "--engine: means nothing to this model"),
        ("evaluate", ("--worst", "3"), "--worst: means nothing to this model"),
        ("evaluate", ("--set", "data.empty=skip"), "data.empty: means nothing to this model"),
        ("predict", ("--set", "data.source=1"), "data.source: means nothing to this model"),
        ("predict", ("--set", "series.split_rows=[9,9,9]"), "series.split_rows: belongs to the model or its training"),
        ("predict", ("--out", "a.parquet"), "--out a.parquet: expected a name that ends in .txt, .tsv, .csv or .jsonl"),
        ("predict", ("--horizon", "2000000"), "horizon: found 2,000,000 steps, expected 1 to 1,000,000."),
        ("evaluate", ("--set", "series.horizon=5"), "series.horizon: belongs to the model or its training, and cannot"),
        ("evaluate", ("--report", "nowhere/r.json"), "nowhere/r.json: cannot be written: No such file or directory."),
        ("evaluate", ("--plot", "a.gif"), "--plot a.gif: expected a name that ends in .svg or .png."),
    ],
)
def test_options_for_models_of_text_are_refused(seqsmith, trained, verb, words, message):
    found = seqsmith(verb, trained / "run" / "model", trained / "table.csv", *words)
    assert (found.code, found.out) == (2, "")
    assert message in found.err


@pytest.mark.parametrize("verb", ["predict", "evaluate", "score"])
def test_what_a_message_says_to_set_can_be_set_where_it_is_said(seqsmith, trained, folder, verb):
    bad = (trained / "table.csv").read_text().replace(",7\n", ",1e35\n", 1).encode() + b"2024-01-06 00:00,1,2\xff\n"
    (folder / "t.csv").write_bytes(bad)
    words = [verb, trained / "run" / "model", "t.csv"]
    for message, setting in (
        ("set data.bad_utf8 to skip or replace", "data.bad_utf8=skip"),
        ("set series.huge = 'missing'", "series.huge=missing"),
    ):
        found = seqsmith(*words)
        assert (found.code, message in found.err) == (2, True)
        words += ["--set", setting]
    assert seqsmith(*words).code == 0


def test_a_forecast_has_the_interval_that_is_asked_for(seqsmith, trained):
    def width(*words):
        found = seqsmith("predict", trained / "run" / "model", trained / "table.csv", *words)
        row = next(csv.DictReader(io.StringIO(found.out)))
        return float(row["load high"]) - float(row["load low"])

    assert width("--set", "series.interval=0.4") < width()


def test_a_plot_that_cannot_be_drawn_is_refused_before_the_work(seqsmith, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = seqsmith("evaluate", trained / "run" / "model", trained / "table.csv", "--plot", "p.png")
    assert (found.code, found.out) == (2, "")
    assert "--plot p.png: a PNG needs matplotlib" in found.err


def test_a_history_keeps_time_as_the_training_table_does(seqsmith, trained, folder):
    table = (trained / "table.csv").read_text()
    without = folder / "without.csv"
    without.write_text("".join(line.split(",", 1)[1] for line in table.splitlines(keepends=True)))
    found = seqsmith("predict", trained / "run" / "model", without)
    assert (found.code, found.out) == (2, "")
    assert (
        "without.csv: found no column of times, but the table that the model was trained on has steps of an hour."
        in found.err
    )


def test_several_columns_of_words_are_series_where_settings_say_so(seqsmith, folder):
    rows = [f"2024-01-{1 + h // 24:02} {h % 24:02}:00,A,Rome,{h % 7}\n" for h in range(120)]
    (folder / "shops.csv").write_text("date,shop,city,sold\n" + "".join(rows))
    found = seqsmith("train", "shops.csv", "--out", "r", *SMALL)
    assert found.code == 2
    assert "several columns hold words (shop, city). Say with series.group which one tells the series" in found.err
    found = seqsmith("train", "shops.csv", "--out", "r", *SMALL, "--set", "series.group=shop")
    assert found.code == 0
    assert "source.kind=series  (for settings of series are given; for text set source.kind=text)" in found.err
    assert "Columns that are neither time, group nor numbers, left out: 1, the first is city." in found.err


def test_a_dev_table_of_training_rows_and_a_test_part_cut_short_are_told(seqsmith, folder, trained):
    table = trained / "table.csv"
    split = ("--set", "series.split_rows=[80,30,20]")
    found = seqsmith("train", table, "--out", "r", *SMALL, *split)
    assert "series.split_rows asks for 20 rows for test; 1 of 1 series end before, the first after 10." in found.err
    assert "asks for 20 rows" in seqsmith("evaluate", "r/model", table, "--part", "test").err
    assert "asks for" not in seqsmith("evaluate", "r/model", table, "--part", "dev").err
    late = write(folder / "late.csv", hours=140)
    late.write_text("".join(late.read_text().splitlines(keepends=True)[:1] + late.read_text().splitlines(True)[101:]))
    found = seqsmith("train", table, "--dev", late, "--out", "r2", *SMALL)
    assert "20 of the 40 dev rows are training rows too" in found.err


def test_bytes_that_are_not_utf8_are_treated_as_text_treats_them(seqsmith, folder):
    table = write(folder / "t.csv")
    table.write_bytes(table.read_bytes().replace(b"date,load,heat", b"date,load,heat\xff"))
    found = seqsmith("train", table, "--out", "r", *SMALL)
    assert found.code == 2
    assert "t.csv:1: not UTF-8" in found.err
    found = seqsmith("train", table, "--out", "r", *SMALL, "--set", "data.bad_utf8=replace")
    assert found.code == 0
    assert "Lines with bytes that are not UTF-8, replaced by U+FFFD: 1, the first at" in found.err
    assert "replaced by U+FFFD: 1" in seqsmith("predict", "r/model", table).err


def test_stamps_to_come_are_written_like_those_of_the_history(seqsmith, trained, folder):
    head, *rows = (trained / "table.csv").read_text().splitlines()
    east = folder / "east.csv"
    east.write_text("\n".join([head, *(row.replace(":00,", ":00+05:00,", 1) for row in rows)]) + "\n")
    found = seqsmith("predict", trained / "run" / "model", east, "--horizon", "1")
    assert found.out.splitlines()[1].startswith("2024-01-06 00:00:00+05:00,")


def test_prices_of_business_days_go_on_after_the_weekend(seqsmith, folder):
    days = np.busday_offset("2024-01-01", np.arange(80))  # to Friday, the 19th of April
    table = folder / "prices.csv"
    rows = [f"{day},{10 + number % 7}\n" for number, day in enumerate(days)]
    table.write_text("date,price\n" + "".join(rows))
    found = seqsmith("train", table, "--out", folder / "run", *SMALL)
    assert "prices.csv: 80 rows, 1 series of 1 columns, steps of a business day." in found.err
    week = folder / "week.csv"
    week.write_text("date,price\n" + "".join(rows[-5:]))
    for history in (table, week):
        found = seqsmith("predict", folder / "run" / "model", history, "--horizon", "6")
        times = [line.split(",")[0] for line in found.out.splitlines()[1:]]
        assert times == [f"2024-04-{day}" for day in (22, 23, 24, 25, 26, 29)]
    every = folder / "every.csv"
    every.write_text("date,price\n" + "".join(f"2024-01-{day:02},{day}\n" for day in range(1, 31)))
    assert (
        "rows follow each other by a day, those the model knows by a business day"
        in seqsmith("predict", folder / "run" / "model", every).err
    )
    assert (
        "every.csv: it has steps of a day, but"
        in seqsmith(*("train", table, "--dev", every, "--out", folder / "other", *SMALL)).err
    )


def test_nothing_to_score_is_said(seqsmith, trained, folder):
    head, *rows = (trained / "table.csv").read_text().splitlines()
    empty = folder / "empty.csv"
    empty.write_text("\n".join([head, *(row.split(",")[0] + ",," for row in rows)]) + "\n")
    found = seqsmith("evaluate", trained / "run" / "model", empty)
    assert (found.code, found.out) == (2, "")
    assert "no window of the part `all` has numbers to look at and numbers to forecast." in found.err


def test_row_numbers_without_a_name_are_no_measurement_and_every_row_names_its_series(seqsmith, folder):
    head, *rows = write(folder / "t.csv").read_text().splitlines()
    (folder / "pandas.csv").write_text("\n".join([f",{head}", *(f"{n},{row}" for n, row in enumerate(rows))]) + "\n")
    assert "2 columns of numbers" in seqsmith("inspect", "pandas.csv").out
    rows[3] = f"{rows[3]},"
    named = [f"{head},shop", *(row if row.endswith(",") else f"{row},a" for row in rows)]
    (folder / "shops.csv").write_text("\n".join(named) + "\n")
    found = seqsmith("inspect", "shops.csv")
    assert (found.code, "shops.csv:5: the column `shop` is empty: it must name the series" in found.err) == (2, True)


def test_rollouts_alone_ask_for_a_model_that_is_fed(seqsmith, folder):
    decoder = "model.decoder={kind='gru',variational=true,dropout=0.3}"  # with a mask for all steps of a roll-out
    words = ("--set", "series.rollouts=true", "--set", "series.patch=2", "--set", "train.updates=2", "--set", decoder)
    found = seqsmith("train", write(folder / "t.csv"), "--out", "r", *SMALL, *words)
    assert found.code == 0
    assert "series.decoding=autoregressive  (the model is to learn from its own steps)" in found.err


def test_engines_that_any_model_has_may_be_named(seqsmith, trained):
    for name in ("auto", "torch"):
        found = seqsmith("predict", trained / "run" / "model", trained / "table.csv", "--engine", name)
        assert found.code == 0


@pytest.mark.parametrize(
    ("missing", "part"),
    [(range(120), "train"), (range(100, 120), "dev")],
)
def test_a_part_without_numbers_is_refused_and_not_waited_for(seqsmith, folder, missing, part):
    table = write(folder / "t.csv")
    lines = table.read_text().splitlines()
    for hour in missing:
        lines[1 + hour] = lines[1 + hour].split(",")[0] + ",,"
    table.write_text("\n".join(lines) + "\n")
    found = seqsmith("train", table, "--out", "r", *SMALL)
    assert (found.code, found.out) == (2, "")
    assert f"t.csv: no window of the {part} part has numbers both in its context and in its horizon" in found.err


def test_a_series_without_numbers_takes_no_forecast_from_others(seqsmith, trained, folder):
    lines = [
        f"2024-01-{1 + h // 24:02} {h % 24:02}:00,{shop},{h % 7 if shop == 'a' else ''}\n"
        for shop in "ab"
        for h in range(120)
    ]
    (folder / "h.csv").write_text("date,shop,load\n" + "".join(lines))
    assert seqsmith("train", "h.csv", "--out", "r", "--quiet", *SMALL).code == 0
    found = seqsmith("predict", "r/model", "h.csv", "--horizon", "2")
    assert found.code == 0
    assert "1 series have no number to go on from and no forecast, the first is b." in found.err
    assert [line.split(",")[0] for line in found.lines] == ["group", "a", "a"]
    (folder / "one.csv").write_text("date,load,heat\n2024-01-01 00:00,1,2\n")
    told = seqsmith("predict", trained / "run" / "model", "one.csv")
    assert told.err == (
        "seqsmith: one.csv: too few rows of a series to tell the step of its time. Give at least two.\n"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ("series.loss.kind=quantiles", "series.loss.levels=[0.4, 0.5, 0.6]"),
            "an interval of 0.8 ends at the quantiles 0.1 and 0.9, and loss.levels at 0.4 and 0.6: name further levels",
        ),
        (
            ("series.rollouts=true", "train.scheduled_sampling=0.5"),
            "train.scheduled_sampling: with series.rollouts all that is fed is the model's own. Leave it out.",
        ),
        (
            ("series.rollouts=true", "series.horizon=6", "series.patch=6"),
            "series.rollouts: a horizon of 6 is one step of the model where series.patch = 6, and it is fed nothing",
        ),
        (("series.split_rows=[80, 40]",), "series.split_rows, number 3: found (80, 40), expected a value for it."),
    ],
)
def test_settings_that_contradict_each_other_are_told(seqsmith, folder, settings, message):
    words = [word for setting in settings for word in ("--set", setting)]
    found = seqsmith("train", write(folder / "t.csv"), "--out", "r", *SMALL, *words)
    assert (found.code, message in found.err) == (2, True)


def test_what_belongs_to_models_of_series_alone_is_refused_elsewhere(seqsmith, model, trained, pairs):
    for words in (("--horizon", "3"), ("--set", "series.huge=missing")):
        refused = seqsmith("predict", model, pairs, *words)
        assert "--horizon and settings of series belong to models that forecast tables" in refused.err
    refused = seqsmith("evaluate", model, pairs, "--part", "dev")
    assert "--part, --plot and settings of series belong to models that forecast tables" in refused.err
    series = trained / "run" / "model"
    assert "series: its settings belong to models" in seqsmith("score", model, pairs, "--set", "series.time=a").err
    assert "TARGET: means nothing to this model" in seqsmith("score", series, pairs, pairs).err
    assert "no such score of a series" in seqsmith("evaluate", series, trained / "table.csv", "--score", "bleu").err
    assert "no window of 24 steps" in seqsmith("evaluate", series, trained / "table.csv", "--part", "test").err


def test_what_a_history_lacks_is_told(seqsmith, trained, folder):
    head, *rows = (trained / "table.csv").read_text().splitlines()
    short = folder / "short.csv"
    short.write_text("\n".join([head, *(row.rsplit(",", 1)[0] + "," for row in rows[:9])]) + "\n")
    found = seqsmith("predict", trained / "run" / "model", short)
    assert (found.code, len(found.lines)) == (0, 7)
    assert (
        "shorter than the 24 steps that the model looks at, taken as missing before: 1, the first at the table, of 9."
        in (found.err)
    )
    assert (
        "Columns without any number, of which nothing is known and a forecast is a guess: 1, the first at heat of"
        in (found.err)
    )
    whole = seqsmith("predict", trained / "run" / "model", trained / "table.csv")
    assert whole.err == "seqsmith: low and high are where the truth should lie 80% of the time.\n"


def test_a_header_alone_is_a_table_without_rows(seqsmith, folder):
    (folder / "t.csv").write_text("date,load,heat\n\n")
    for words in (("inspect", "t.csv"), ("train", "t.csv", "--out", "r")):
        found = seqsmith(*words)
        assert (found.code, found.out) == (2, "")
        assert found.err.endswith("seqsmith: t.csv: there is no row of numbers in it.\n")


def test_the_demo_of_series_goes_the_whole_road(seqsmith, monkeypatch):
    import seqsmith.cli.demo_series as demo

    monkeypatch.setattr(demo, "write_demo", lambda place: write_demo(place, days=20, held_out_days=2))
    found = seqsmith("demo", "--series", "--out", "d", *SMALL, "--set", "series.horizon=24")
    assert found.code == 0, found.err
    assert "The first day to come, bread at each shop" in found.out
    assert "harbour" in found.out


def test_the_shops_of_the_demo_are_the_same_for_the_same_seed_and_shut_on_holidays():
    rows = list(generate(60, seed=3))
    assert rows == list(generate(60, seed=3))
    assert rows != list(generate(60, seed=4))
    noon = [row for row in rows if row[1].endswith("09:00:00") and row[3] and row[0] == "market"]
    shut, open_ = ([float(row[3]) for row in noon if row[4] == flag] for flag in (1, 0))
    assert max(shut, default=0.0) < min(open_)


@pytest.mark.parametrize(
    "settings",
    [
        ("series.decoding=autoregressive", "series.patch=2", "series.loss=gaussian", "series.samples=20"),
        ("series.decoding=autoregressive", "series.patch=2", "series.rollouts=true", "series.window_scaling=mean_std"),
        ("series.decoding=autoregressive", "series.patch=2", "train.scheduled_sampling=0.5", "series.loss=huber"),
        ("series.channels=joint", "series.targets=['load']", "series.loss=quantiles", "train.updates=160"),
        ("series.channels=joint", "series.loss=student_t", "model.family=lstm"),
        ("model.family=transformer", "series.loss=mae", "series.calendar=['hour','weekday']"),
        (
            "train.precision=bf16",
            "series.decoding=autoregressive",
            "series.patch=2",
            "series.loss=gaussian",
            "series.samples=20",
        ),
        ("train.precision=bf16", "series.channels=joint", "series.loss=quantiles", "train.updates=160"),
    ],
)
def test_every_way_of_forecasting_learns_a_wave_with_holes(seqsmith, folder, settings):
    table = write(folder / "t.csv", hours=300)
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for number, line in enumerate(lines) if number % 41 != 7))
    words = [word for setting in settings for word in ("--set", setting)]
    fast = ("--set", "train.updates=90", "--set", "train.validate_every=45", "--set", "train.rate=0.01")
    found = seqsmith("train", table, "--out", "r", *SMALL, *fast, *words)
    assert found.code == 0, found.err
    assert "Times left out by the table, filled with missing numbers" in found.err
    seqsmith("evaluate", folder / "r" / "model", table, "--part", "dev", "--report", "r.json")
    rows = json.loads((folder / "r.json").read_text())["rows"]
    assert rows["model"]["mae"] < rows["repeat last"]["mae"]
    assert rows["model"]["coverage"] > 20


def test_a_model_remembers_which_column_tells_series_apart(seqsmith, trained, folder):
    lines = (trained / "table.csv").read_text().splitlines()
    noted = [f"{line},{'note' if not index else 'dry' if index < 61 else 'wet'}" for index, line in enumerate(lines)]
    (folder / "noted.csv").write_text("\n".join(noted) + "\n")
    same = seqsmith("predict", trained / "run" / "model", trained / "table.csv").out
    assert seqsmith("predict", trained / "run" / "model", "noted.csv").out == same  # it had no group, and has none now
    assert 'group = ""' in (trained / "run" / "config.toml").read_text()
    assert seqsmith("train", "noted.csv", "--out", "g", "--quiet", *SMALL).code == 0
    found = seqsmith("predict", "g/model", trained / "table.csv")
    assert (found.code, found.out.startswith("time,load,")) == (0, True)  # one series, which needs no name


def test_one_target_needs_no_list(seqsmith, trained):
    found = seqsmith("inspect", trained / "table.csv", "--set", "series.targets=load", "--json")
    assert found.code == 0
    assert json.loads(found.out)["columns"].keys() == {"load", "heat"}
    assert seqsmith("inspect", trained / "table.csv", "--set", "series.targets=lood").code == 2


def test_a_picture_that_cannot_be_drawn_is_refused_before_the_work(seqsmith, trained):
    words = ("evaluate", trained / "run" / "model", trained / "table.csv", "--plot")
    assert seqsmith(*words, "gone/p.svg").err == "seqsmith: --plot gone/p.svg: there is no folder gone.\n"
    assert "expected a name that ends in .svg or .png." in seqsmith(*words, "p.pdf").err


def test_marks_of_missing_numbers_make_no_group(seqsmith, folder):
    lines = write(folder / "t.csv").read_text().splitlines()
    holes = [line if number % 4 == 1 else line.rpartition(",")[0] + ",NA" for number, line in enumerate(lines[1:])]
    (folder / "holes.csv").write_text("\n".join([lines[0], *holes]) + "\n")
    found = json.loads(seqsmith("inspect", "holes.csv", "--json").out)
    assert (found["series"], list(found["columns"])) == (1, ["load", "heat"])


def test_a_forecast_ends_before_the_year_10000(seqsmith, folder):
    months = [f"{1980 + month // 12}-{1 + month % 12:02},{month % 12}\n" for month in range(240)]
    (folder / "months.csv").write_text("date,a\n" + "".join(months))
    assert seqsmith("train", "months.csv", "--out", "r", "--quiet", *SMALL, "--set", "series.patch=1").code == 0
    told = seqsmith("predict", "r/model", "months.csv", "--horizon", "1000000")
    assert told.code == 2
    assert "horizon: 1,000,000 steps of a month go beyond the year 9999. Ask for fewer." in told.err


@pytest.mark.parametrize("missing", ["mask", "interpolate", "error"])
def test_rows_of_the_future_are_no_holes(seqsmith, folder, missing):
    table = write(folder / "t.csv")
    settings = ("--set", f"series.missing={missing}", "--set", "series.covariates=heat")
    assert seqsmith("train", table, "--out", "r", "--quiet", *SMALL, *settings).code == 0
    history = write(folder / "h.csv", hours=48, bad="".join(f"2024-01-03 {h:02}:00,,{h}\n" for h in range(6)))
    found = seqsmith("predict", "r/model", history)
    assert (found.code, [line[:16] for line in found.lines[1:]]) == (
        0,
        [f"2024-01-03 {h:02}:00" for h in range(6)],
    )


@pytest.mark.parametrize("kind", ["gaussian", "student_t", "quantiles"])
def test_drawn_intervals_are_the_same_alone_and_beside_others(seqsmith, folder, kind):
    rows = [f"{shop},{h % 7 + 3 * (shop == 'b')}\n" for shop in "ab" for h in range(100)]
    (folder / "t.csv").write_text("shop,load\n" + "".join(rows))
    (folder / "b.csv").write_text("shop,load\n" + "".join(rows[100:]))
    settings = ("--set", "series.decoding=autoregressive", "--set", f"series.loss={kind}")
    settings = (*settings, "--set", "series.group=shop", "--set", "source.kind=series")
    trained = seqsmith("train", "t.csv", "--out", "r", "--quiet", *SMALL, *settings)
    assert trained.code == 0, trained.err
    together, alone = (seqsmith("predict", "r/model", name).lines for name in ("t.csv", "b.csv"))
    beside = [line for line in together if line.startswith("b")]
    numbers = ([[float(cell) for cell in line.split(",")[1:]] for line in lines] for lines in (beside, alone[1:]))
    np.testing.assert_allclose(*numbers, rtol=1e-5)


def test_a_model_that_gives_no_numbers_is_not_saved_as_a_good_one(seqsmith, folder):
    found = seqsmith("train", write(folder / "t.csv"), "--out", "r", *SMALL, "--set", "train.rate=1e30")
    assert found.code == 3
    assert "the score is not a number. Lower train.rate (now 1e+30)" in found.err
    assert not (folder / "r" / "model").exists()


def test_no_row_to_train_on_is_told(seqsmith, folder):
    found = seqsmith("train", write(folder / "t.csv"), "--out", "r", *SMALL, "--set", "series.dev_share=0.999")
    assert (found.code, found.out) == (2, "")
    assert "train" in found.err
    assert "Traceback" not in found.err


def test_a_column_of_numbers_is_a_series(seqsmith, folder):
    (folder / "t.csv").write_text("\n".join(str(10 + h % 7) for h in range(120)) + "\n")
    found = seqsmith("train", "t.csv", "--out", "r", *SMALL)
    assert (found.code, "source.kind=series  (t.csv is a table of numbers" in found.err) == (0, True), found.err


def test_long_names_of_series_are_written_whole(seqsmith, folder):
    names = [f"{'x' * 70}{last}" for last in "ab"]
    rows = [f"{name},{h % 7}\n" for name in names for h in range(100)]
    (folder / "t.csv").write_text("shop,load\n" + "".join(rows))
    settings = ("--set", "series.group=shop", "--set", "source.kind=series")
    assert seqsmith("train", "t.csv", "--out", "r", "--quiet", *SMALL, *settings).code == 0
    assert {line.split(",")[0] for line in seqsmith("predict", "r/model", "t.csv").lines[1:]} == set(names)


def test_endless_whole_numbers_are_no_counter(seqsmith, folder):
    (folder / "t.csv").write_text("n,load\n" + "".join(f"{'0' * 5000}{h},{h % 7}\n" for h in range(100)))
    assert seqsmith("inspect", "t.csv").code == 0


@pytest.mark.parametrize("name", ["time", "group", "load low"])
def test_a_target_with_the_name_of_a_column_of_forecasts_is_refused(seqsmith, folder, name):
    rows = [f"2024-01-{1 + h // 24:02} {h % 24:02}:00,{h % 7},{h % 5}\n" for h in range(120)]
    (folder / "t.csv").write_text(f"date,load,{name}\n" + "".join(rows))
    found = seqsmith("train", "t.csv", "--out", "r", *SMALL, "--set", f"series.targets=['load','{name}']")
    assert (found.code, f"t.csv: forecasts have a column `{name}` of their own. Rename" in found.err) == (2, True)
