"""dawnchorus: audio encoders for bioacoustics, from a recording to embeddings and names.

The public names load on first use: importing the package loads neither torch nor pyarrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.late_imports import on_first_use
from dawnchorus.publication import VERSION

if TYPE_CHECKING:
    from dawnchorus.activity.run import measure_activity
    from dawnchorus.annotations.annotation_table import AnnotationTable

    # `dawnchorus.benchmark` is the package of that name, so its function has a verb before it
    from dawnchorus.benchmark.run import benchmark as run_benchmark
    from dawnchorus.engine.embed import embed
    from dawnchorus.engine.predict import predict
    from dawnchorus.labelling.run_density import call_density
    from dawnchorus.labelling.suggest import suggest_windows
    from dawnchorus.models.encoder import Encoder, EncoderOutput
    from dawnchorus.models.load import load_model
    from dawnchorus.models.registry import (
        describe_model,
        list_model_layers,
        list_models,
        load_label_mapping,
        register_model,
    )
    from dawnchorus.probing.estimator import DawnChorusClassifier
    from dawnchorus.probing.evaluate import probe_evaluate
    from dawnchorus.probing.fit import probe_fit
    from dawnchorus.recipes.posttrain import posttrain
    from dawnchorus.recipes.pretrain import pretrain
    from dawnchorus.search.cluster import cluster_stores
    from dawnchorus.search.run import search_stores
    from dawnchorus.store.read import Store

__version__ = VERSION

__all__ = [
    "AnnotationTable",
    "DawnChorusClassifier",
    "Encoder",
    "EncoderOutput",
    "Store",
    "__version__",
    "call_density",
    "cluster_stores",
    "describe_model",
    "embed",
    "list_model_layers",
    "list_models",
    "load_label_mapping",
    "load_model",
    "measure_activity",
    "posttrain",
    "predict",
    "pretrain",
    "probe_evaluate",
    "probe_fit",
    "register_model",
    "run_benchmark",
    "search_stores",
    "suggest_windows",
]

# Where each name is. A test holds this against the imports above, which a type checker sees.
_HOME = {
    "AnnotationTable": "dawnchorus.annotations.annotation_table",
    "DawnChorusClassifier": "dawnchorus.probing.estimator",
    "Encoder": "dawnchorus.models.encoder",
    "EncoderOutput": "dawnchorus.models.encoder",
    "Store": "dawnchorus.store.read",
    "cluster_stores": "dawnchorus.search.cluster",
    "call_density": "dawnchorus.labelling.run_density",
    "describe_model": "dawnchorus.models.registry",
    "embed": "dawnchorus.engine.embed",
    "list_model_layers": "dawnchorus.models.registry",
    "list_models": "dawnchorus.models.registry",
    "load_label_mapping": "dawnchorus.models.registry",
    "load_model": "dawnchorus.models.load",
    "measure_activity": "dawnchorus.activity.run",
    "posttrain": "dawnchorus.recipes.posttrain",
    "predict": "dawnchorus.engine.predict",
    "pretrain": "dawnchorus.recipes.pretrain",
    "probe_evaluate": "dawnchorus.probing.evaluate",
    "probe_fit": "dawnchorus.probing.fit",
    "register_model": "dawnchorus.models.registry",
    "run_benchmark": "dawnchorus.benchmark.run:benchmark",
    "search_stores": "dawnchorus.search.run",
    "suggest_windows": "dawnchorus.labelling.suggest",
}


__getattr__ = on_first_use(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
