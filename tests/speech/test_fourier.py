"""The transform is the discrete Fourier transform, rounded as Kaldi's."""

from __future__ import annotations

import platform

import kaldi_native_fbank
import numpy as np
import pytest
import torch

from seqsmith.speech.fourier import power_spectrum

LENGTHS = [4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048]


@pytest.mark.parametrize("points", LENGTHS)
def test_in_double_precision_it_is_the_discrete_fourier_transform(points):
    sample_XL = torch.randn(points, 5, dtype=torch.float64)
    expected_PL = torch.fft.rfft(sample_XL, dim=0).abs().square()[:-1]
    torch.testing.assert_close(power_spectrum(sample_XL), expected_PL)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="Kaldi's sums are in another order where built for others")
@pytest.mark.parametrize("points", LENGTHS)
def test_in_single_precision_every_bit_is_kaldis(points):
    sample_XL = torch.randn(points, 20)
    transform = kaldi_native_fbank.Rfft(points)
    packed_LX = np.array([transform.compute(row) for row in sample_XL.T.tolist()], np.float32)
    real_LP, imag_LP = packed_LX[:, 0::2].copy(), packed_LX[:, 1::2].copy()
    imag_LP[:, 0] = 0.0  # stands for the point at half the rate
    expected_LP = real_LP * real_LP + imag_LP * imag_LP
    np.testing.assert_array_equal(power_spectrum(sample_XL).T.numpy(), expected_LP)


def test_no_frame_depends_on_its_neighbours():
    sample_XL = torch.randn(512, 7)
    alone = torch.cat([power_spectrum(sample_XL[:, column : column + 1]) for column in range(7)], dim=1)
    torch.testing.assert_close(power_spectrum(sample_XL), alone, rtol=0, atol=0)
