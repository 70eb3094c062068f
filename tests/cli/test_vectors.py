"""Vector sequences on the command line: frames in, frames out."""

import numpy as np
import pytest

import seqsmith as package
from seqsmith.errors import UserError
from seqsmith.mapper import Mapper

SMALL = (
    *("--set", "model.encoder.width=16", "--set", "model.decoder.width=16", "--set", "train.threads=1"),
    *("--set", "train.updates=60", "--set", "train.validate_every=30", "--set", "train.rate=0.02"),
    *("--set", "model.encoder.dropout=0.0", "--set", "model.decoder.dropout=0.0", "--set", "train.batch_tokens=256"),
)


def write(path, *, pairs=40, seed=1):
    """Each answer is the running mean of the source's first number, with twice as many steps."""
    chance, arrays = np.random.default_rng(seed), {}
    for number in range(pairs):
        source = chance.normal(size=(chance.integers(3, 7), 2)) + chance.normal(size=2)
        mean = np.cumsum(source[:, :1], axis=0) / np.arange(1, len(source) + 1)[:, None]
        arrays |= {f"source/{number}": source, f"target/{number}": np.repeat(mean, 2, axis=0) * 10 + 3}
    np.savez(path, **arrays)
    return path


def test_vectors_go_the_whole_road(seqsmith, folder):
    pairs = write(folder / "pairs.npz")
    found = seqsmith("train", pairs, "--out", "r", *SMALL)
    assert found.code == 0, found.err
    assert "34 pairs to train on, 6 dev pairs" in found.err
    model = folder / "r" / "model"
    scores = seqsmith("evaluate", model, write(folder / "test.npz", seed=2))
    assert scores.code == 0, scores.err
    (own,), (mean,) = (
        [float(line.split()[1]) for line in scores.out.splitlines() if line.startswith(name)]
        for name in ("model", "mean ")
    )
    assert own < 0.7 * mean
    assert seqsmith("predict", model, folder / "test.npz", "--out", "y.npz").code == 0
    with np.load(folder / "y.npz") as said, np.load(folder / "test.npz") as given:
        assert set(said.files) == {name for name in given.files if name.startswith("target/")}
        assert all(said[name].shape == given[name].shape for name in said.files)
        opened = package.load(model)
        assert isinstance(opened, Mapper)
        (alone,) = opened.predict([given["source/3"].astype(np.float32)])
        for sources, steps, message in (
            ([given["source/3"] * np.nan], None, "source 1: found NaN or infinite numbers"),
            ([given["source/3"][:, :1]], None, "source 1: found the shape"),
            ([given["source/3"]], [0], "steps: expected a whole number above 0 for each of the 1 sources"),
            ("test.npz", None, "sources: expected a list of matrices .steps, 2., found 'test.npz'. Read a file with"),
            ([given["source/3"]], [], "steps: expected a whole number above 0 for each of the 1 sources"),
        ):
            with pytest.raises(UserError, match=message):
                opened.predict(sources, steps=steps)
        assert opened.predict([given["source/3"]], steps=[2.0])[0].shape == (2, 1)
        np.testing.assert_allclose(alone, said["target/3"], rtol=1e-4, atol=1e-4)  # whatever its neighbours
    assert "steps of 2 numbers to steps of 1, 2 times as many" in seqsmith("inspect", model).out
    assert "source: 2 numbers a step, 3 to 6 steps" in seqsmith("inspect", pairs).out
    assert "--format: means nothing to this model" in seqsmith("predict", model, pairs, "--format", "csv").err
    likely = seqsmith("score", model, folder / "test.npz")
    with np.load(folder / "y.npz") as said, np.load(folder / "test.npz") as given:
        deviation = opened.featuriser.target_scaling.deviation_C
        squared = [float((((said[f"target/{n}"] - given[f"target/{n}"]) / deviation) ** 2).mean()) for n in range(40)]
    head, *lines = likely.out.splitlines()
    assert (head, [line.split(",")[0] for line in lines]) == ("name,minus_loss", list(map(str, range(40))))
    np.testing.assert_allclose([-float(line.split(",")[1]) for line in lines], squared, rtol=1e-3, atol=1e-5)
    assert (
        "minus the mse loss, in the units of the training, of what is said of the numbers of the target" in likely.err
    )
    for verb in ("predict", "evaluate", "score"):
        assert "--with: means nothing to this model" in seqsmith(verb, model, pairs, "--with", model).err
    with pytest.raises(UserError, match="a model of vector sequences answers alone"):
        package.load(model, model)
    assert "--score: means nothing to this model" in seqsmith("evaluate", model, pairs, "--score", "mse").err
    lost = seqsmith("evaluate", model, pairs, "--report", "nowhere/r.json")
    assert (lost.code, lost.out, "nowhere/r.json: cannot be written" in lost.err) == (2, "", True)
    assert "ends in .npz: --out ANSWERS.npz" in seqsmith("predict", model, pairs).err


@pytest.mark.parametrize("decoding", ["direct", "autoregressive"])
def test_what_is_scored_is_a_density_of_the_next_number(seqsmith, folder, decoding):
    settings = ("--set", "series.loss=gaussian", "--set", f"series.decoding={decoding}")
    found = seqsmith("train", write(folder / "pairs.npz"), "--out", "r", *SMALL, *settings)
    assert found.code == 0, found.err
    mapper = Mapper.open(folder / "r" / "model")
    source, deviation = np.array([[0.3, -1.0], [0.5, 0.2], [1.5, 0.1]], np.float32), mapper.featuriser.target_scaling
    grid = np.linspace(-150, 150, 3001) * float(deviation.deviation_C[0]) / 10 + float(deviation.mean_C[0])
    (begun,) = mapper.score([source], [np.array([[2.0]], np.float32)])
    ends = [np.array([[2.0], [value]], np.float32) for value in grid]
    density = np.exp(2 * np.array(mapper.score([source] * len(grid), ends)) - begun)
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=1e-2)
    likely = seqsmith("score", folder / "r" / "model", folder / "pairs.npz")
    assert likely.out.startswith("name,log_likelihood\n0,")
    assert "their density in the units of the target, in nats" in likely.err
    with pytest.raises(UserError, match="score: 1 sources, but 0 targets"):
        mapper.score([source], [])
    with pytest.raises(UserError, match=r"target 1: found the shape \(3, 2\); the model takes steps of 1 numbers"):
        mapper.score([source], [source])


def test_one_pair_is_too_few(seqsmith, folder):
    found = seqsmith("train", write(folder / "one.npz", pairs=1), "--out", "r")
    assert (found.code, "one pair alone cannot be trained on and chosen by" in found.err) == (2, True)


@pytest.mark.parametrize("setting", ["horizon=4", "window_scaling=last", "targets=a", "season=7", "interval=0.5"])
def test_settings_of_tables_mean_nothing_to_pairs(seqsmith, folder, setting):
    found = seqsmith("train", write(folder / "pairs.npz"), "--set", f"series.{setting}", *SMALL)
    expected = f"series.{setting.partition('=')[0]}: means nothing where a file has pairs of vector sequences."
    assert (found.code, expected in found.err) == (2, True)


def test_models_of_several_kinds_do_not_answer_together(seqsmith, folder, model):
    assert seqsmith("train", write(folder / "pairs.npz"), "--out", "r", *SMALL, "--set", "train.updates=2").code == 0
    with pytest.raises(UserError, match=r"a model of vectors, but .* is one of text: they cannot answer together"):
        package.load(model, folder / "r" / "model")
    found = seqsmith("evaluate", folder / "r" / "model", folder / "pairs.npz", "--with", model)
    assert found.code == 2
    assert "a model of text, but r/model is one of vectors: they cannot answer together." in found.err.replace(
        f"{folder}/", ""
    )
