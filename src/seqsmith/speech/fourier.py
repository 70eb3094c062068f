"""The power spectrum of real samples, rounded as kaldi-native-fbank rounds it.

Beside one loud tone, most mel bins of a frame hold what rounding left of that tone, some 100 dB below it, and their
logarithms are as large a number as any. They are Kaldi's only where the same numbers are added in the same order in
single precision. That order is the one of its transform, kissfft, as it is built for x86-64: Cooley and Tukey (1965),
decimated in time, four transforms into one and the first two by two where four do not divide; the products of a complex
sum are added one by one. Two samples in a row stand as one complex number, and the spectrum of the real ones is split
off at the end (Press et al. 2007, section 12.3). Of float64 the same steps make the spectrum itself.

All is element by element, so that no frame depends on its neighbours. Axes: X samples of a frame; P points, of which M
are made into one spectrum and R are apart.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Complex(NamedTuple):
    """Numbers as two tensors: of a complex tensor's products the rounding is torch's own."""

    real: Tensor
    imag: Tensor


def power_spectrum(sample_XL: Tensor) -> Tensor:
    """Frames of 2 P samples, P a power of two and not 1 -> power_PL, without the point at half the rate."""
    P = len(sample_XL) // 2
    number_PL = _transform(Complex(sample_XL[0::2].contiguous(), sample_XL[1::2].contiguous()))
    low, high = (Complex(*pair) for pair in zip(*map(_pairs, number_PL), strict=True))
    turn = _split(P, sample_XL.dtype)
    real_sum, imag_sum, real_difference = low.real + high.real, low.imag + high.imag, low.real - high.real
    along, across = turn.real * real_difference, turn.imag * imag_sum
    both = turn.real * imag_sum + turn.imag * real_difference
    low_power = (real_sum + along - across).square() + (low.imag - high.imag + both).square()
    high_power = (real_sum + across - along).square() + (high.imag - low.imag + both).square()
    constant_power = (number_PL.real[:1] + number_PL.imag[:1]).square()
    return torch.cat([constant_power, low_power[:-1] / 4, high_power.flip(0) / 4])


def _pairs(part_PL: Tensor) -> tuple[Tensor, Tensor]:
    """The points 1 to P / 2, and beside each the one as far from the end."""
    middle = len(part_PL) // 2
    return part_PL[1 : middle + 1], part_PL[middle:].flip(0)


def _transform(number_PL: Complex) -> Complex:
    """The discrete Fourier transform over the first axis, whose points come out in order (Stockham's arrangement)."""
    P, L = number_PL.real.shape
    M = 1
    while P > M:
        radix = 2 if M == 1 and math.log2(P) % 2 else 4
        R = P // (M * radix)
        parts = [Complex(*part) for part in zip(*(x.view(M, radix, R, L).unbind(1) for x in number_PL), strict=True)]
        turns = _turns(M, radix, number_PL.real.dtype)
        made = _two(parts, turns) if radix == 2 else _four(parts, turns)
        number_PL = Complex(*(torch.cat(part).view(P, L) for part in zip(*made, strict=True)))
        M *= radix
    return number_PL


def _two(parts: list[Complex], turns: list[Complex]) -> list[Complex]:
    even, odd = parts[0], _turned(parts[1], turns[0])
    return [
        Complex(even.real + odd.real, even.imag + odd.imag),
        Complex(even.real - odd.real, even.imag - odd.imag),
    ]


def _four(parts: list[Complex], turns: list[Complex]) -> list[Complex]:
    """Four transforms into one. Of parts 2 and 3 the products for the real part are never summed alone."""
    one = _turned(parts[1], turns[0])
    (two_along, two_across, two_imag), (three_along, three_across, three_imag) = map(_products, parts[2:], turns[1:])
    sum_02 = Complex(parts[0].real + two_along - two_across, parts[0].imag + two_imag)
    sum_13 = Complex(one.real - three_across + three_along, one.imag + three_imag)
    difference_02 = Complex(parts[0].real + two_across - two_along, parts[0].imag - two_imag)
    difference_13_real = one.real - three_along + three_across
    return [
        Complex(sum_02.real + sum_13.real, sum_02.imag + sum_13.imag),
        Complex(difference_02.real + one.imag - three_imag, difference_02.imag - difference_13_real),
        Complex(sum_02.real - sum_13.real, sum_02.imag - sum_13.imag),
        Complex(difference_02.real + three_imag - one.imag, difference_02.imag + difference_13_real),
    ]


def _turned(number: Complex, turn: Complex) -> Complex:
    along, across, imag = _products(number, turn)
    return Complex(along - across, imag)


def _products(number: Complex, turn: Complex) -> tuple[Tensor, Tensor, Tensor]:
    """Of a product the two terms whose difference is the real part, and the imaginary part."""
    imag = number.imag * turn.real + number.real * turn.imag
    return number.real * turn.real, number.imag * turn.imag, imag


@lru_cache(32)
def _turns(M: int, radix: int, dtype: torch.dtype) -> list[Complex]:
    """What the transforms of M points after the first are multiplied by, as `radix` of them become one."""
    step_M11 = torch.arange(M, dtype=torch.float64)[:, None, None] / (M * radix)
    return [_turn(step_M11 * number, dtype) for number in range(1, radix)]


@lru_cache(8)
def _split(P: int, dtype: torch.dtype) -> Complex:
    """What splits the points 1 to P / 2 of pairs of real samples."""
    return _turn(torch.arange(1, P // 2 + 1, dtype=torch.float64)[:, None] / (2 * P) + 0.25, dtype)


def _turn(share: Tensor, dtype: torch.dtype) -> Complex:
    """The unit turned back by shares of a whole turn, computed in float64."""
    angle = -2 * math.pi * share
    return Complex(angle.cos().to(dtype), angle.sin().to(dtype))
