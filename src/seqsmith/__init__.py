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
    from seqsmith.predictor import Predictor

__version__ = "0.1.0"


def load(folder: str | os.PathLike[str]) -> Predictor:
    """Open a model folder for use. Raises UserError when it is missing, damaged or from a newer version."""
    from seqsmith.predictor import Predictor  # late: it imports torch, which `import seqsmith` must not

    return Predictor.open(folder)
