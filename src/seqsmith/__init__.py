"""seqsmith: forge a sequence-to-sequence model from a file of pairs, and use it.

>>> import seqsmith
>>> model = seqsmith.load("run/model")                      # doctest: +SKIP
>>> model.predict(["Two men are talking."])[0].text         # doctest: +SKIP
'Zwei Männer unterhalten sich.'
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from seqsmith.forecaster import Forecaster
    from seqsmith.mapper import Mapper
    from seqsmith.predictor import Predictor

__all__ = ["__version__", "load"]
__version__ = "0.1.0"


def load(folder: str | os.PathLike[str], *others: str | os.PathLike[str]) -> Predictor | Forecaster | Mapper:
    """Open a model folder for use: a Predictor, of series a Forecaster, of vector sequences a Mapper.

    With further folders, of models of the same data, the answers are those of the ensemble.

    Raises UserError when one is missing, damaged, from a newer version or of other data.
    """
    from pathlib import Path  # late, all of them: `import seqsmith` must be quick

    from seqsmith.errors import UserError
    from seqsmith.model_folder import kind_of_models

    for given in (folder, *others):
        if not isinstance(given, (str, os.PathLike)):
            raise UserError(f"load takes the path of a model folder, found {type(given).__name__}.")
    kind = kind_of_models([Path(folder), *map(Path, others)])
    match kind:
        case "series":
            from seqsmith.forecaster import Forecaster

            return Forecaster.open(folder, *others)
        case "vectors":
            from seqsmith.mapper import Mapper

            if others:
                raise UserError(f"{folder}: a model of vector sequences answers alone. Give one folder.")
            return Mapper.open(folder)
        case "text" | "speech":
            from seqsmith.predictor import Predictor

            return Predictor.open(folder, *others)
    assert_never(kind)
