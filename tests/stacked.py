"""The weights of torch's recurrent layers, which stack their gates, under the names of the textbook's cells."""

from __future__ import annotations

from torch import Tensor


def lstm_weights(weight_GE: Tensor, weight_GD: Tensor, bias_G: Tensor, hidden_bias_G: Tensor) -> dict[str, Tensor]:
    """The parameters of `nn.LSTM`, which stacks i, f, g, o, under the names of `LSTMCell`.

    For one layer and direction: `cell.load_state_dict(lstm_weights(*lstm.parameters()))`. They stay attached: through
    `torch.func.functional_call(cell, lstm_weights(...), ...)` gradients flow back to the stacked parameters.
    """
    (W_i, W_f, W_g, W_o), (U_i, U_f, U_g, U_o) = weight_GE.chunk(4), weight_GD.chunk(4)
    b_i, b_f, b_g, b_o = (bias_G + hidden_bias_G).chunk(4)
    gates = _gate("input_gate", W_i, U_i, b_i) | _gate("forget_gate", W_f, U_f, b_f)
    return gates | _gate("output_gate", W_o, U_o, b_o) | _gate("candidate", W_g, U_g, b_g)


def gru_weights(weight_GE: Tensor, weight_GD: Tensor, bias_G: Tensor, hidden_bias_G: Tensor) -> dict[str, Tensor]:
    """The parameters of `nn.GRU`, which stacks r, z, n, under the names of `GRUCell(..., reset_after=True)`."""
    (W_r, W_z, W_n), (U_r, U_z, U_n) = weight_GE.chunk(3), weight_GD.chunk(3)
    b_r, b_z, _ = (bias_G + hidden_bias_G).chunk(3)
    gates = _gate("reset_gate", W_r, U_r, b_r) | _gate("update_gate", -W_z, -U_z, -b_z)  # torch's z is our 1 - z
    biases = {"W.bias": bias_G.chunk(3)[2], "U.bias": hidden_bias_G.chunk(3)[2]}
    return gates | biases | {"W.weight": W_n, "U.weight": U_n}


def _gate(name: str, W: Tensor, U: Tensor, b: Tensor) -> dict[str, Tensor]:
    return {f"{name}.W.weight": W, f"{name}.U.weight": U, f"{name}.W.bias": b}
