"""What every table of settings is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=0)]


class Table(BaseModel):
    """A frozen table of settings: unknown keys are refused, numbers keep their type, floats are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def kind_from_string(value: object) -> object:
    """A bare string stands for a table with that kind alone."""
    return {"kind": value} if isinstance(value, str) else value


def check_heads(width: int, heads: int) -> None:
    """Raise ValueError where heads would not be of equal width."""
    if width % heads:
        raise ValueError(f"width {width} is not divisible by heads {heads}: change one of them")
