"""What `seqsmith train` takes, what it tells, and how it stops and goes on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import reversal
from seqsmith import config, runtime
from seqsmith.native import build
from seqsmith.predictor import Predictor
from seqsmith.train.journal import read_journal
from terminal import Seqsmith, start

ROWS = reversal.pairs(200)


def settings_of(run: str) -> config.Settings:
    return config.read(Path(run) / "config.toml")


def trained_pairs(told: str) -> int:
    """How many pairs the run says that it read for training."""
    return int(told.split("Read ")[1].split()[0].replace(",", ""))


# ------------------------------------------------------------------------------------------------ what it takes


def test_it_tells_what_it_read_chose_and_found_and_how_to_use_it(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]
) -> None:
    told = seqsmith("train", pairs, *small)
    assert (told.code, told.out) == (0, "")
    lines = told.err.splitlines()
    assert lines[0] == "Read 200 training pairs from pairs.tsv."
    assert lines[1].startswith("No dev set given: ")
    assert "  source.tokeniser.kind=characters, target.tokeniser.kind=characters  (short texts of" in told.err
    assert any(line.startswith("Vocabulary: 14 source and 14 target symbols; ") for line in lines)
    assert any(line.startswith("Model: bidirectional LSTM 1x16 encoder, LSTM 1x16 decoder") for line in lines)
    validations = [line.split() for line in lines if line.startswith("update ")]
    assert [words[1] for words in validations] == ["4", "8"]
    assert all("train" in words and "nats/token" in words and "tokens/s" in words for words in validations)
    assert {"    source", "    reference", "    output"} <= {line[:13].rstrip() for line in lines}
    assert "Training ended after 8 updates: all updates done." in lines
    assert lines[-3] == "The model is in run/model. Use it:"
    assert lines[-2].startswith("  echo '")
    assert lines[-2].endswith("' | seqsmith predict run/model")
    assert lines[-1] == "  seqsmith evaluate run/model TEST_FILE"
    assert len(Predictor.open("run/model").predict(["12"])) == 1


def test_fewer_threads_are_taken_kept_and_told_where_they_are_faster(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fastest(work: Callable[[int], None]) -> int:
        tried.append(work(0))
        return runtime.use_threads(1)

    monkeypatch.setattr(runtime, "threads", lambda wanted: wanted or 2)
    monkeypatch.setattr(runtime, "fastest_threads", fastest)
    here = small.index("train.threads=1")
    told = seqsmith("train", pairs, *small[: here - 1], *small[here + 1 :])
    assert "Threads: 1 of 2: more are slower, for this model is small or this machine has other work." in told.err
    assert settings_of("run").train.threads == 1
    assert seqsmith("train", "--resume", "--out", "run").code == 0
    assert seqsmith("train", pairs, *small, "--out", "other").code == 0
    assert len(tried) == 1


def test_a_plain_stream_gets_no_bar(seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]) -> None:
    told = seqsmith("train", pairs, *small)
    assert all(character.isprintable() or character == "\n" for character in told.err)


def test_quiet_is_quiet(seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]) -> None:
    told = seqsmith("train", pairs, "--quiet", *small)
    assert (told.code, told.out, told.err) == (0, "", "")


def test_parallel_files_and_their_dev_files(seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]) -> None:
    for name, rows in (("train", ROWS[:150]), ("dev", ROWS[150:])):
        for side, suffix in enumerate(("src", "tgt")):
            (folder / f"{name}.{suffix}").write_text("".join(f"{row[side]}\n" for row in rows))
    words = ("train.src", "train.tgt", "--dev", "dev.src", "--dev", "dev.tgt", "--out", "here")
    told = seqsmith("train", *words, *small)
    assert told.code == 0
    assert "Read 150 training pairs from train.src.\nRead 50 dev pairs from dev.src.\n" in told.err
    assert "No dev set given" not in told.err
    assert settings_of("here").data.train == (config.Corpus(path="train.src", target="train.tgt"),)
    assert settings_of("here").data.dev == (config.Corpus(path="dev.src", target="dev.tgt"),)


def test_named_columns_and_features_of_jsonl(seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]) -> None:
    rows = [{"n": "x", "in": source, "out": target, "tag": "V;X"} for source, target in ROWS]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = ("--set", "data.source=in", "--set", "data.target=out", "--set", "data.features=tag")
    told = seqsmith("train", "pairs.jsonl", *columns, *small)
    assert told.code == 0
    assert "Vocabulary: 16 source and 14 target symbols" in told.err
    use = told.err.splitlines()[-2]  # as it stands, it works
    assert use.startswith("  printf '%s\\t%s\\n' '")
    printed = subprocess.run(use.split(" | ")[0], shell=True, capture_output=True, text=True, check=True).stdout
    assert seqsmith("predict", "run/model", stdin=printed).code == 0
    assert 'features=["..."]' in Path("run/model/README.md").read_text()


def test_several_corpora_with_weights_come_from_a_file_of_settings(
    seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]
) -> None:
    reversal.write(folder / "one.tsv", ROWS[:120])
    reversal.write(folder / "two.tsv", ROWS[120:])
    (folder / "settings.toml").write_text(
        '[data]\ntrain = [{ path = "one.tsv", weight = 3.0 }, { path = "two.tsv" }]\n[train]\nupdates = 500\n'
    )
    told = seqsmith("train", "--config", "settings.toml", *small)
    assert told.code == 0
    assert trained_pairs(told.err) == 200
    assert [corpus.weight for corpus in settings_of("run").data.train] == [3.0, 1.0]
    assert settings_of("run").train.updates == 8  # --set goes over the file


def test_standard_input_can_be_trained_on(seqsmith: Seqsmith, small: tuple[str, ...]) -> None:
    told = seqsmith("train", "-", *small, stdin="".join(f"{source}\t{target}\n" for source, target in ROWS))
    assert told.code == 0
    assert "Read 200 training pairs from" in told.err
    assert Predictor.open("run/model")


def test_signs_of_trouble_are_told(seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]) -> None:
    """A model that has learnt next to nothing says one digit for ever."""
    reversal.write(folder / "pairs.tsv", reversal.pairs(100, shortest=30, longest=40))
    told = seqsmith("train", "pairs.tsv", *small)
    assert re.search(r"^    warning: \d+ of 20 answers repeat themselves: trained too little", told.err, re.MULTILINE)


def test_curves_for_tensorboard_are_written_where_they_are_wanted(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]
) -> None:
    pytest.importorskip("tensorboard")
    assert seqsmith("train", pairs, "--quiet", *small, "--set", "train.tensorboard=true").code == 0
    assert len(list(Path("run/tensorboard").iterdir())) == 1
    assert seqsmith("train", pairs, "--quiet", *small, "--out", "plain").code == 0
    assert not Path("plain/tensorboard").exists()


def test_a_missing_tensorboard_is_told_before_the_work(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    told = seqsmith("train", pairs, *small, "--set", "train.tensorboard=true")
    assert (told.code, told.err) == (
        2,
        "seqsmith: train.tensorboard: TensorBoard is not installed. Run `pip install 'seqsmith[tensorboard]'`, or set "
        "train.tensorboard=false.\n",
    )
    assert not Path("run").exists()


def test_a_run_that_diverges_ends_with_exit_code_3(seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]) -> None:
    words = ("--set", "train.rate=1e30", "--set", "train.updates=60", "--set", "train.validate_every=60")
    told = seqsmith("train", pairs, "--quiet", *small, *words, "--set", "train.clip=1e30")
    assert told.code == 3
    assert told.err.startswith("seqsmith: training diverged: 20 updates in a row had no finite gradient")
    assert len(told.err.splitlines()) == 1


def test_a_run_that_diverges_before_a_validation_ends_with_exit_code_3(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]
) -> None:
    told = seqsmith("train", pairs, "--quiet", *small, "--set", "train.rate=1e30", "--set", "train.updates=8")
    assert told.code == 3
    assert told.err.startswith("seqsmith: training diverged: at the validation of update 4, the model gave logits that")
    assert told.err.endswith("Lower train.rate (now 1e+30).\n")


# ------------------------------------------------------------------------------------------------ stopping, going on


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_saves_and_says_how_to_go_on_and_the_run_can_be_finished(
    seqsmith: Seqsmith, folder: Path, pairs: Path, small: tuple[str, ...], number: int, code: int
) -> None:
    words = ("--set", "train.updates=1000000", "--set", "train.early_stop=0")
    told = ""
    with start("train", pairs, *small, *words, folder=folder) as process:
        assert process.stderr
        for line in process.stderr:
            told += line
            if line.startswith("update "):
                process.send_signal(number)
                break
        told += process.stderr.read()
    assert process.returncode == code
    assert told.splitlines()[-1] == "Stopped and saved. Go on with: seqsmith train --resume --out run"
    assert "Traceback" not in told
    table = config.override(config.read_table(Path("run/config.toml")), ["train.updates=8", "train.validate_every=4"])
    Path("run/config.toml").write_text(config.dump(config.build(table, where="test")))
    told = seqsmith("train", "--resume").err
    assert "Going on after update " in told
    assert "The model is in run/model." in told


def test_control_c_while_the_model_is_made_says_how_to_go_on(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("seqsmith.cli.text_task.finish", interrupted)
        told = seqsmith("train", pairs, *small)
    assert told.code == 130
    assert told.err.splitlines()[-1] == "Stopped and saved. Go on with: seqsmith train --resume --out run"
    assert seqsmith("train", "--resume", "--quiet").code == 0
    assert Predictor.open("run/model")


def test_control_c_before_training_begins_says_how_to_go_on(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_words: object, **_options: object) -> None:
        raise KeyboardInterrupt

    for place in ("open_text_task", "_with_precision", "_fit"):
        with monkeypatch.context() as patch:
            patch.setattr(f"seqsmith.cli.train.{place}", interrupted)
            told = seqsmith("train", pairs, *small)
        assert told.code == 130
        assert told.err.splitlines()[-1] == "Stopped. Nothing was begun: start again with the same command."
    assert seqsmith("train", pairs, "--quiet", *small).code == 0
    with monkeypatch.context() as patch:
        patch.setattr("seqsmith.cli.train.open_text_task", interrupted)
        told = seqsmith("train", "--resume")
    assert told.code == 130
    assert told.err == "Stopped. What was saved before is untouched. Go on with: seqsmith train --resume --out run\n"
    assert seqsmith("train", "--resume", "--quiet").code == 0


def test_a_run_goes_on_from_where_its_paths_begin(
    seqsmith: Seqsmith, folder: Path, pairs: Path, small: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seqsmith("train", pairs, "--quiet", *small).code == 0
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    told = seqsmith("train", "--resume", "--out", "../run")
    assert (told.code, told.err) == (
        2,
        "seqsmith: ../run: its data, pairs.tsv, is not in this folder. Paths of a run begin where it was begun: "
        "go on from there, or put the data back.\n",
    )


def test_a_run_goes_on_when_nobody_looks_any_more(folder: Path, pairs: Path, small: tuple[str, ...]) -> None:
    with start("train", pairs, *small, folder=folder) as process:
        assert process.stderr
        process.stderr.readline()
        process.stderr.close()
    assert process.returncode == 0
    assert Predictor.open(folder / "run" / "model")


def test_a_run_is_never_started_over_another(seqsmith: Seqsmith, finished: Path, pairs: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    told = seqsmith("train", pairs, "--out", finished)
    assert (told.code, told.err) == (
        2,
        f"seqsmith: {finished}: holds a run already. Go on with --resume, or choose another --out.\n",
    )
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    after.pop(finished / "lock")
    before.pop(finished / "lock")
    assert after == before


def test_without_a_run_there_is_nothing_to_resume(seqsmith: Seqsmith) -> None:
    told = seqsmith("train", "--resume", "--out", "gone")
    assert (told.code, told.err) == (
        2,
        "seqsmith: gone: nothing to resume: it has no config.toml. Start it without --resume.\n",
    )
    assert not Path("gone").exists()


def test_resume_takes_its_settings_from_the_run_alone(seqsmith: Seqsmith, pairs: Path) -> None:
    for words in ((pairs,), ("--set", "train.epochs=3"), ("--config", "x.toml"), ("--dev", "x.tsv")):
        told = seqsmith("train", "--resume", *words)
        assert (told.code, told.err) == (
            2,
            "seqsmith: --resume: takes nothing else. To train longer, raise train.epochs or train.updates in "
            "run/config.toml.\n",
        )


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("width = 16", "width = 24", "run/config.toml: model.encoder.width: found 24, but this run began with 16"),
        ('kind = "characters"', 'kind = "words"', "source.tokeniser.kind: found 'words', but this run began with 'cha"),
        ("seed = 1", "seed = 2", "run/config.toml: seed: found 2, but this run began with 1"),
    ],
)
def test_a_run_goes_on_with_the_model_it_began_with(
    seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...], before: str, after: str, told: str
) -> None:
    assert seqsmith("train", pairs, "--quiet", *small).code == 0
    file = Path("run/config.toml")
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after, 1))
    found = seqsmith("train", "--resume", "--quiet")
    assert (found.code, told in found.err) == (2, True)
    file.write_text(file.read_text().replace(after, before, 1))
    assert seqsmith("train", "--resume", "--quiet").code == 0


def test_data_that_changed_is_not_gone_on_with(
    seqsmith: Seqsmith, folder: Path, pairs: Path, small: tuple[str, ...]
) -> None:
    assert seqsmith("train", pairs, "--quiet", *small).code == 0
    reversal.write(folder / "pairs.tsv", reversal.pairs(200, seed=2))
    told = seqsmith("train", "--resume", "--quiet")
    assert told.code == 2
    assert told.err.startswith("seqsmith: run: the data, or how it is read ([data] in config.toml), has changed since")
    assert Path("run/model/model.safetensors").exists()


def test_events_are_in_the_journal(finished: Path) -> None:
    kinds = [event["event"] for event in read_journal(finished / "journal.jsonl")]
    assert (kinds[0], kinds[-1]) == ("start", "model")
    assert {"update", "validation", "checkpoint", "end"} <= set(kinds)


def test_tuning_keeps_the_family_of_the_model(seqsmith: Seqsmith, pairs: Path, finished: Path) -> None:
    model = finished / "model"
    told = seqsmith("train", pairs, "--out", "t", "--set", f"train.start_from={model}", "--set", "model.family=gru")
    assert (told.code, told.out) == (2, "")
    assert "train.start_from: found model.family=gru, that model has lstm: leave model.family out." in told.err


def test_a_mistake_that_shows_late_leaves_the_folder_to_the_corrected_command(
    seqsmith: Seqsmith, folder: Path, pairs: Path, small: tuple[str, ...]
) -> None:
    (folder / "texts.txt").write_text("\n \n")
    (folder / "run").mkdir()
    told = seqsmith("train", pairs, *small, "--set", "search.language_model=texts.txt")
    assert (told.code, "texts.txt has no text to learn from" in told.err) == (2, True)
    assert not (folder / "run" / "config.toml").exists()
    assert seqsmith("train", pairs, "--quiet", *small).code == 0


@pytest.mark.parametrize("name", ["model", "journal.jsonl", "checkpoints", "vocabulary"])
def test_what_a_run_would_write_over_is_not_its_folder(
    seqsmith: Seqsmith, folder: Path, pairs: Path, small: tuple[str, ...], name: str
) -> None:
    (folder / "run" / name).mkdir(parents=True)
    (folder / "run" / name / "mine").write_text("x")
    told = seqsmith("train", pairs, *small)
    assert (told.code, told.err) == (
        2,
        f"seqsmith: run: holds {name} already, which the run would write over. Choose another --out.\n",
    )
    assert (folder / "run" / name / "mine").read_text() == "x"
    assert {path.name for path in (folder / "run").iterdir()} <= {name, "lock"}


def test_targets_of_a_few_classes_are_split_by_their_sources(
    seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]
) -> None:
    (folder / "a.tsv").write_text("".join(f"{n:03}\t{'xyz'[n % 3]}\n" for n in range(200)))
    told = seqsmith("train", "a.tsv", *small)
    assert told.code == 0
    assert "split off 20 of the 200 pairs (seed 1); no source (the targets are a few that repeat) of" in told.err


def test_what_a_kill_while_saving_leaves_behind_goes(seqsmith: Seqsmith, pairs: Path, small: tuple[str, ...]) -> None:
    assert seqsmith("train", pairs, "--quiet", *small).code == 0
    Path("run/checkpoints/.tmp-step-00000008-1").mkdir()
    assert seqsmith("train", "--resume", "--quiet").code == 0
    assert not Path("run/checkpoints/.tmp-step-00000008-1").exists()


def test_sharing_all_embeddings_needs_one_vocabulary(seqsmith: Seqsmith, folder: Path, small: tuple[str, ...]) -> None:
    letters = str.maketrans("0123456789", "abcdefghij")
    (folder / "a.tsv").write_text("".join(f"{n:04}\t{f'{n:04}'.translate(letters)}\n" for n in range(0, 9000, 37)))
    words = ("--set", "model.share_embeddings=all", "--set", "joint_vocabulary=false")
    told = seqsmith("train", "a.tsv", *small, *words)
    assert (told.code, told.err.splitlines()[-1]) == (
        2,
        "seqsmith: model.share_embeddings: 'all' needs one vocabulary, found other symbols on either side. "
        "Set joint_vocabulary = true, or share only 'target'.",
    )


def test_tuning_a_model_with_features_asks_for_their_column(
    seqsmith: Seqsmith, pairs: Path, folder: Path, models: Path
) -> None:
    told = seqsmith("train", pairs, "--set", f"train.start_from={models / 'features'}")
    assert (told.code, told.err.splitlines()[-1]) == (
        2,
        "seqsmith: train.start_from: that model takes a column of features, and none of this data is named: add "
        "--set data.features=...",
    )
    assert not (folder / "run").exists()


def test_tuning_tells_what_is_new(seqsmith: Seqsmith, folder: Path, finished: Path) -> None:
    (folder / "new.tsv").write_text("".join(f"{number}x\tyz{number}\n" for number in range(60)))
    words = ("--set", f"train.start_from={finished / 'model'}", "--set", "train.updates=1")
    told = seqsmith("train", "new.tsv", "--out", "t", *words)  # a joint vocabulary: x, y and z
    assert told.code == 0
    assert f"Starts from the weights of {finished / 'model'}; new to it: 3 source and 3 target symbols.\n" in told.err


def test_dev_pairs_that_are_training_pairs_are_told(
    seqsmith: Seqsmith, pairs: Path, folder: Path, small: tuple[str, ...]
) -> None:
    told = seqsmith("train", pairs, "--dev", pairs, "--out", "a", *small, "--set", "train.updates=1")
    count = len(pairs.read_text().splitlines())
    assert "  data.dev_pairs is not used: a dev set is given, so that none is split off.\n" in told.err
    assert f"warning: {count:,} of the {count:,} dev pairs are training pairs too" in told.err
    reversal.write(folder / "dev.tsv", [(source, target + "!") for source, target in reversal.pairs(20)])
    told = seqsmith("train", pairs, "--dev", "dev.tsv", "--out", "b", *small, "--set", "train.updates=1")
    assert "training pairs too" not in told.err


def test_several_answers_are_for_those_who_ask_and_not_for_validations(seqsmith, pairs, small):
    assert seqsmith("train", pairs, "--out", "r", "--quiet", *small, "--set", "search.nbest=2").code == 0


def test_a_run_that_memory_ended_before_anything_was_saved_leaves_its_folder(seqsmith, pairs, small, monkeypatch):
    def short(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:126] DefaultCPUAllocator: can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr("seqsmith.cli.train._fit", short)
        assert seqsmith("train", pairs, "--out", "r", *small).code == 2
    assert seqsmith("train", pairs, "--out", "r", "--quiet", *small).code == 0


@pytest.mark.parametrize("setting", ["train.r_drop=1e39", "search.longest_extra=2147483648"])
def test_numbers_beyond_all_use_are_told(seqsmith, pairs, small, setting):
    found = seqsmith("train", pairs, "--out", "r", *small, "--set", setting)
    assert (found.code, f"settings: {setting.split('=')[0]}: found" in found.err) == (2, True)


@pytest.fixture
def without_compiler(monkeypatch, tmp_path):
    """A machine on which nothing can be compiled."""
    monkeypatch.setenv("PATH", str(tmp_path))
    build.library.cache_clear()
    yield
    build.library.cache_clear()


@pytest.mark.usefixtures("without_compiler")
def test_without_a_compiler_torch_trains_and_the_run_says_so(seqsmith, pairs, small):
    done = seqsmith("train", pairs, "--out", "run", *small)
    assert done.code == 0
    assert "Kernels: torch's alone; with a C compiler (gcc) on this machine, training would be faster." in done.err
    assert settings_of("run").train.kernels == "torch"


@pytest.mark.usefixtures("without_compiler")
def test_kernels_that_are_asked_for_and_cannot_be_compiled_are_an_error(seqsmith, pairs, small):
    done = seqsmith("train", pairs, "--out", "run", *small, "--set", "train.kernels=compiled")
    assert done.code == 2
    assert done.err.strip().endswith(
        "train.kernels: found 'compiled', but they cannot be compiled here. Install a C compiler (gcc) for this CPU, "
        "or take 'torch', with which training is slower."
    )
    assert not Path("run").exists()


def test_a_run_says_and_keeps_which_kernels_it_trains_with(seqsmith, pairs, small):
    if build.library() is None:
        pytest.skip("needs a C compiler with OpenMP")
    done = seqsmith("train", pairs, "--out", "run", *small)
    assert "Kernels: compiled for this machine." in done.err
    assert settings_of("run").train.kernels == "compiled"
    other = seqsmith("train", pairs, "--out", "other", *small, "--set", "train.kernels=torch")
    assert other.code == 0
    assert "Kernels" not in other.err
