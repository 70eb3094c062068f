"""Windows on their way through a model: a long horizon, piece by piece."""

from dataclasses import replace

import numpy as np

from seqsmith.engine.windows import pieces
from seqsmith.featurise_series import SeriesFeaturiser
from seqsmith.series.scaling import Scaling
from seqsmith.series.table import Group

CONTEXT, HORIZON, PATCH = 5, 3, 2


def encoded(*lengths, ahead):
    featuriser = SeriesFeaturiser(
        columns=("a", "b"), targets=1, covariates=("k",), clock=None, cycles=(), scaling=Scaling.none(2), groups=(),
        own_scaling=(), covariate_scaling=Scaling.none(1), context=CONTEXT, horizon=HORIZON, patch=PATCH, season=1,
        independent=False, window_scaling="none",
    )  # fmt: skip
    steps = [np.arange(length + ahead) for length in lengths]
    found = featuriser.encode([Group("", at, np.stack([at, -at], 1) / 1.0, 100.0 * at[:, None]) for at in steps])
    return replace(found, x=tuple(x[:length] for x, length in zip(found.x, lengths, strict=True)))


def test_each_piece_goes_on_from_the_one_before_and_is_given_no_more_than_a_context():
    whole = encoded(40, 2, ahead=12)
    contexts, futures = [], []

    def say(recent, ends):
        assert all(len(x) <= CONTEXT + PATCH for x in recent.x)
        contexts.append(recent.contexts(ends))
        futures.append(recent.batch(ends).target.known_BLE.numpy())
        last = recent.contexts(ends)[:, -1:, :1]
        return (last + np.arange(1, HORIZON + 1)[None, :, None],)

    said = np.concatenate([piece for (piece,) in pieces(whole, 10, say)], axis=1)
    np.testing.assert_array_equal(said[..., 0], [np.arange(40, 52), np.arange(2, 14)])
    np.testing.assert_array_equal(contexts[2][0, -CONTEXT:, 0], np.arange(41, 46))
    assert np.isnan(contexts[2][1, -HORIZON:, 1]).all()  # what is only looked at is not known of the future
    np.testing.assert_array_equal(contexts[0][1, -3:, 0], [np.nan, 0, 1])
    np.testing.assert_array_equal(futures[1][:, :HORIZON, 0], [[4300, 4400, 4500], [500, 600, 700]])
