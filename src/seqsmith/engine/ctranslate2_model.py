"""A Transformer in the format of CTranslate2, with 8-bit weights (one scale a row), rounded as `integers` does.

CTranslate2 (Klein et al. 2020, The OpenNMT Neural Machine Translation Toolkit, section 4) runs no graph: its
specification names the parts of a Transformer and we fill them. Ids go in and come out as their decimal digits, so its
files hold no text of ours.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from ctranslate2.specs.model_spec import NumpyVariable, visit_spec

from seqsmith import config
from seqsmith.engine.ctranslate2 import SHORTLIST
from seqsmith.engine.expressible import LONGEST
from seqsmith.engine.integers import NARROW, WHOLE, quantise
from seqsmith.engine.weights import Linear, Weights
from seqsmith.search.shortlist import Shortlist
from seqsmith.special import BEGIN, END, PAD, UNKNOWN

NEVER = -1e4
"""Added to the logits of ids that no answer may hold: finite, and far below what a model says."""


def largest_weight() -> int:
    """The largest integer that CTranslate2 can multiply by on this machine without an overflow.

    It is asked of a model whose layers add nothing to a vector of ones. The weights of the id 5 give it a logit of 64,
    or of 1 if they are cut off; the bias of the id 6 gives that one 32.
    """
    width, ids, right, wrong = 64, 8, 5, 6
    side = {"kind": "transformer", "width": width, "heads": 1, "layers": 1, "feed_forward": width, "norm": "rms"}
    settings = config.build({"model": {"encoder": side, "decoder": side}}, where="probe")
    arrays: dict[str, Any] = {
        f"{side}_inlet.embedding.weight": np.ones((ids, width), np.float32) for side in ("source", "target")
    }
    for owner, kinds in (("encoder", ("self",)), ("decoder", ("self", "cross"))):
        linear = [f"{kind}_attention.{part}" for kind in kinds for part in ("query", "key", "value", "out")]
        linear += ["feed_forward.inner", "feed_forward.outer"]
        norms = [f"layers.0.{part}_part.norm" for part in (*kinds, "forward")]
        arrays |= {f"{owner}.layers.0.{name}.weight": np.zeros((width, width), np.float32) for name in linear}
        arrays |= {f"{owner}.{name}.weight": np.ones(width, np.float32) for name in (*norms, "norm")}
    arrays["outlet.weight"] = np.eye(1, ids, right, dtype=np.float32).T @ np.ones((1, width), np.float32)
    arrays["outlet.bias"] = np.eye(1, ids, wrong, dtype=np.float32)[0] * (width / 2)
    with TemporaryDirectory() as folder:
        write_model(Weights(arrays, settings.model), settings, Path(folder), largest=WHOLE)
        translator = ctranslate2.Translator(folder, intra_threads=1)
        (said,) = translator.translate_batch([[str(right)]], beam_size=1, max_decoding_length=1)
    return WHOLE if said.hypotheses[0] == [str(right)] else NARROW


def write_model(weights: Weights, settings: config.Settings, folder: Path, *, largest: int | None) -> None:
    """Fill `folder` with the files that a Translator opens.

    Weights are integers up to `largest`; None leaves them in full precision.
    """
    encoder, decoder = settings.model.encoder, settings.model.decoder
    assert isinstance(encoder, config.Transformer)
    assert isinstance(decoder, config.Transformer)
    spec = transformer_spec.TransformerSpec(
        transformer_spec.TransformerEncoderSpec(encoder.layers, encoder.heads, **_options(encoder)),
        transformer_spec.TransformerDecoderSpec(decoder.layers, decoder.heads, **_options(decoder)),
    )
    _fill_inlet(spec.encoder, spec.encoder.embeddings[0], weights, encoder, "source")
    _fill_inlet(spec.decoder, spec.decoder.embeddings, weights, decoder, "target")
    _fill_layers(spec.encoder, weights, encoder, "encoder")
    _fill_layers(spec.decoder, weights, decoder, "decoder")
    outlet = weights.outlet()
    bias_V = outlet.bias_O.copy()
    bias_V[[PAD, UNKNOWN, BEGIN]] = NEVER
    _fill_linear(spec.decoder.projection, Linear(outlet.weight_OI, bias_V))
    spec.register_source_vocabulary([str(number) for number in range(len(weights.embedding("source")))])
    spec.register_target_vocabulary([str(number) for number in range(outlet.width)])
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = str(UNKNOWN), str(BEGIN), str(END)
    spec.config.decoder_start_token = str(BEGIN)
    spec.config.layer_norm_epsilon = 1e-6 if encoder.norm == "rms" else 1e-5
    spec.validate()
    spec.optimize()  # weights that are equal become one
    if largest is not None:
        visit_spec(spec, partial(_round, largest=largest))
    spec.save(str(folder))


def _round(part: Any, name: str, value: Any, *, largest: int) -> None:
    """Make one variable of a part integers, if CTranslate2 multiplies by it; its scales divide where ours multiply."""
    multiplied = isinstance(part, common_spec.LinearSpec | common_spec.EmbeddingsSpec) and name.endswith("weight")
    if multiplied and not isinstance(value, str):  # the name of an equal one
        integers, scale = quantise(value.numpy(), axis=1, largest=largest)
        part.weight, part.weight_scale = NumpyVariable(integers), NumpyVariable(1 / scale)


def write_shortlist(shortlist: Shortlist, folder: Path) -> None:
    """Add a shortlist: a line is a source id, a tab and target ids; those of no source id are always allowed."""
    numbers = range(len(shortlist.start_X) - 1)
    rows = [("", np.flatnonzero(shortlist.always_V).tolist())]
    rows += [(str(number), shortlist.likely(number).tolist()) for number in numbers]
    lines = (f"{key}\t{' '.join(map(str, ids))}\n" for key, ids in rows if ids)
    (folder / SHORTLIST).write_text("".join(lines), encoding="ascii")


def _options(settings: config.Transformer) -> dict[str, Any]:
    """How one side is built. `rotary_dim = 0` turns the whole head, and halves are paired, as our `rotate` does."""
    activations = {
        "relu": common_spec.Activation.RELU,
        "gelu": common_spec.Activation.GELU,
        "swiglu": common_spec.Activation.SWISH,
    }
    rotary = {"rotary_dim": 0, "rotary_interleave": False} if settings.position == "rotary" else {}
    return {
        "pre_norm": settings.norm_first,
        "activation": activations[settings.activation],
        "ffn_glu": settings.activation == "swiglu",
        "rms_norm": settings.norm == "rms",
        "num_heads_kv": settings.key_value_heads or settings.heads,
        **rotary,
    }


def _fill_inlet(side_spec: Any, embeddings: Any, weights: Weights, settings: config.Transformer, side: str) -> None:
    projected = f"{side}_inlet.project.weight" in weights
    embeddings.weight = weights.inlet(side, scaled=True) if projected else weights.embedding(side)
    side_spec.scale_embeddings = not projected
    if settings.position == "rotary":
        if side == "source":
            del side_spec.position_encodings
        return
    owner = "encoder" if side == "source" else "decoder"
    side_spec.position_encodings.encodings = _positions(weights, settings, owner)


def _positions(weights: Weights, settings: config.Transformer, owner: str) -> np.ndarray:
    """What is added at each step: sines and cosines, or what was learnt; steps past the last share it."""
    if settings.position == "learned":
        return weights[f"{owner}.positions.learned.table"][np.minimum(np.arange(LONGEST), settings.longest - 1)]
    half = (settings.width + 1) // 2
    rate_J = 10_000.0 ** (-np.arange(half) / half)
    angle_LJ = np.arange(LONGEST)[:, None] * rate_J
    return np.concatenate([np.sin(angle_LJ), np.cos(angle_LJ)], axis=1)[:, : settings.width].astype(np.float32)


def _fill_layers(side_spec: Any, weights: Weights, settings: config.Transformer, side: str) -> None:
    if settings.norm_first:
        _fill_norm(side_spec.layer_norm, weights, f"{side}.norm")
    for index, layer in enumerate(side_spec.layer):
        name = f"{side}.layers.{index}"
        query, key, value = (weights.linear(f"{name}.self_attention.{part}") for part in ("query", "key", "value"))
        _fill_norm(layer.self_attention.layer_norm, weights, f"{name}.self_part.norm")
        _fill_linear(layer.self_attention.linear[0], _stacked(query, key, value))
        _fill_linear(layer.self_attention.linear[1], weights.linear(f"{name}.self_attention.out"))
        if side == "decoder":
            query, key, value = (weights.linear(f"{name}.cross_attention.{part}") for part in ("query", "key", "value"))
            _fill_norm(layer.attention.layer_norm, weights, f"{name}.cross_part.norm")
            _fill_linear(layer.attention.linear[0], query)
            _fill_linear(layer.attention.linear[1], _stacked(key, value))
            _fill_linear(layer.attention.linear[2], weights.linear(f"{name}.cross_attention.out"))
        _fill_norm(layer.ffn.layer_norm, weights, f"{name}.forward_part.norm")
        inner = weights.linear(f"{name}.feed_forward.inner")
        if settings.activation == "swiglu":
            _fill_linear(layer.ffn.linear_0, weights.linear(f"{name}.feed_forward.gate"))
            _fill_linear(layer.ffn.linear_0_noact, inner)
        else:
            _fill_linear(layer.ffn.linear_0, inner)
        _fill_linear(layer.ffn.linear_1, weights.linear(f"{name}.feed_forward.outer"))


def _stacked(*layers: Linear) -> Linear:
    """Several layers that take the same input, as one."""
    return Linear(
        np.concatenate([layer.weight_OI for layer in layers]), np.concatenate([layer.bias_O for layer in layers])
    )


def _fill_linear(spec: Any, layer: Linear) -> None:
    spec.weight, spec.bias = layer.weight_OI, layer.bias_O


def _fill_norm(spec: Any, weights: Weights, name: str) -> None:
    spec.gamma = weights[f"{name}.weight"]
    if f"{name}.bias" in weights:
        spec.beta = weights[f"{name}.bias"]
