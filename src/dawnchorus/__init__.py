"""dawnchorus: audio encoders for bioacoustics, from a recording to embeddings and names.

The public names load on first use: importing the package loads neither torch nor pyarrow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dawnchorus.engine.embed import embed
    from dawnchorus.engine.predict import predict
    from dawnchorus.models.encoder import Encoder, EncoderOutput
    from dawnchorus.models.load import load_model
    from dawnchorus.probes.estimator import DawnChorusClassifier
    from dawnchorus.recipes.posttrain import posttrain
    from dawnchorus.recipes.pretrain import pretrain
    from dawnchorus.store.read import Store

__version__ = "0.1.0"

__all__ = [
    "DawnChorusClassifier",
    "Encoder",
    "EncoderOutput",
    "Store",
    "__version__",
    "embed",
    "load_model",
    "posttrain",
    "predict",
    "pretrain",
]

_HOME = {
    "DawnChorusClassifier": "dawnchorus.probes.estimator",
    "Encoder": "dawnchorus.models.encoder",
    "EncoderOutput": "dawnchorus.models.encoder",
    "Store": "dawnchorus.store.read",
    "embed": "dawnchorus.engine.embed",
    "load_model": "dawnchorus.models.load",
    "posttrain": "dawnchorus.recipes.posttrain",
    "predict": "dawnchorus.engine.predict",
    "pretrain": "dawnchorus.recipes.pretrain",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'dawnchorus' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
