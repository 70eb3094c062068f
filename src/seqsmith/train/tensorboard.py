"""The run's events as curves in TensorBoard, beside the journal; needs the extra `tensorboard`."""

from __future__ import annotations

from pathlib import Path

from seqsmith.errors import UserError
from seqsmith.train.journal import Event

_CURVES = ("loss", "nats_per_token", "gradient_norm", "rate", "tokens_per_second")


class TensorBoard:
    """Writes updates and validations to a folder. Raises UserError where the extra is missing."""

    def __init__(self, folder: Path):
        check_installed()
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def write(self, event: Event) -> None:
        match event["event"]:
            case "update":
                curves = {f"train/{name}": event[name] for name in _CURVES}
            case "validation":
                curves = {f"dev/{event['name']}": event["value"]}
                if "dev_nats_per_token" in event:
                    curves["dev/nats_per_token"] = event["dev_nats_per_token"]
            case _:
                return
        for name, value in curves.items():
            self._writer.add_scalar(name, value, event["update"])

    def close(self) -> None:
        self._writer.close()


def check_installed() -> None:
    """Raise UserError where the extra is missing."""
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise UserError(
            "train.tensorboard: TensorBoard is not installed. Run `pip install 'seqsmith[tensorboard]'`, "
            "or set train.tensorboard=false."
        ) from None
