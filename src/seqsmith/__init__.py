"""seqsmith: forge a sequence-to-sequence model from a file of pairs, and use it.

>>> import seqsmith
>>> model = seqsmith.load("run/model")                      # doctest: +SKIP
>>> model.predict(["Two men are talking."])[0].text         # doctest: +SKIP
'Zwei Männer unterhalten sich.'
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqsmith.forecaster import Forecaster
    from seqsmith.mapper import Mapper
    from seqsmith.predictor import Predictor

__version__ = "0.1.0"


def load(folder: str | os.PathLike[str]) -> Predictor | Forecaster | Mapper:
    """Open a model folder for use: a Predictor, of series a Forecaster, of vector sequences a Mapper.

    Raises UserError when it is missing, damaged or from a newer version.
    """
    from pathlib import Path  # late, all of them: `import seqsmith` must be quick

    from seqsmith.model_folder import is_series_model, is_vector_model

    if is_series_model(Path(folder)):
        from seqsmith.forecaster import Forecaster

        return Forecaster.open(folder)
    if is_vector_model(Path(folder)):
        from seqsmith.mapper import Mapper

        return Mapper.open(folder)
    from seqsmith.predictor import Predictor

    return Predictor.open(folder)
