"""Weights as 8-bit integers, and how many of the 8 bits a machine can multiply.

CPUs without instructions for products of 8 bits (VNNI, AMX and their like) add two of them in 16 bits, where all above
32,767 is cut off without a word. An input has up to 255, so two products with weights of up to 127 do not fit and with
weights of up to 64 they do. Which it is is tried out before weights are written: `largest_weight` of
`ctranslate2_model` and `onnx_model`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqsmith.engine.weights import Array

WHOLE = 127
"""The largest weight where 8-bit products are exact."""

NARROW = 64
"""The largest where they overflow."""


def quantise(array: Array, *, axis: int, largest: int) -> tuple[NDArray[np.int8], Array]:
    """Signed integers and the scale of each output; `axis` is the one that is summed over."""
    scale = np.abs(array).max(axis) / np.float32(largest)
    scale[scale < 1e-30] = 1.0  # nothing, or next to it
    return np.rint(array / np.expand_dims(scale, axis)).astype(np.int8), scale.astype(np.float32)
