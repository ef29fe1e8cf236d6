"""Every option that a user can set, as frozen configs that refuse nonsense when made.

An unknown key is an error, and so is a value of the wrong type; both name the key. Nothing here
imports torch. ``base`` is what they share; each of the others belongs to one part of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.late_imports import on_first_use

if TYPE_CHECKING:
    from dawnchorus.configs.base import (
        Backend,
        ComputedPrecision,
        Config,
        LayerSelection,
        Precision,
        read_recipe,
    )
    from dawnchorus.configs.data import (
        AugmentConfig,
        BucketConfig,
        DataConfig,
        MixConfig,
        NoiseConfig,
        SpecAugmentConfig,
        SpeedConfig,
        TeacherConfig,
    )
    from dawnchorus.configs.distilling import DistilConfig
    from dawnchorus.configs.engine import (
        EmbedConfig,
        EmbedOptions,
        PredictConfig,
        PredictOptions,
        WindowConfig,
    )
    from dawnchorus.configs.posttraining import PosttrainConfig
    from dawnchorus.configs.pretraining import PretrainConfig
    from dawnchorus.configs.probes import (
        FinetuneConfig,
        FitConfig,
        HeadConfig,
        ProbeConfig,
        ScheduleConfig,
    )
    from dawnchorus.configs.probing import ProbeRunConfig
    from dawnchorus.configs.readout import Pooling, Readout
    from dawnchorus.configs.training import TrainConfig
    from dawnchorus.configs.yaml_file import read_yaml

__all__ = [
    "AugmentConfig",
    "Backend",
    "BucketConfig",
    "ComputedPrecision",
    "Config",
    "DataConfig",
    "DistilConfig",
    "EmbedConfig",
    "EmbedOptions",
    "FinetuneConfig",
    "FitConfig",
    "HeadConfig",
    "LayerSelection",
    "MixConfig",
    "NoiseConfig",
    "Pooling",
    "PosttrainConfig",
    "Precision",
    "PredictConfig",
    "PredictOptions",
    "PretrainConfig",
    "ProbeConfig",
    "ProbeRunConfig",
    "Readout",
    "ScheduleConfig",
    "SpecAugmentConfig",
    "SpeedConfig",
    "TeacherConfig",
    "TrainConfig",
    "WindowConfig",
    "read_recipe",
    "read_yaml",
]

# as in `dawnchorus`: who needs one config does not wait for all
_NAMES = {
    "base": "Backend ComputedPrecision Config LayerSelection Precision read_recipe",
    "data": "AugmentConfig BucketConfig DataConfig MixConfig NoiseConfig SpecAugmentConfig "
    "SpeedConfig TeacherConfig",
    "distilling": "DistilConfig",
    "engine": "EmbedConfig EmbedOptions PredictConfig PredictOptions WindowConfig",
    "posttraining": "PosttrainConfig",
    "pretraining": "PretrainConfig",
    "probes": "FinetuneConfig FitConfig HeadConfig ProbeConfig ScheduleConfig",
    "probing": "ProbeRunConfig",
    "readout": "Pooling Readout",
    "training": "TrainConfig",
    "yaml_file": "read_yaml",
}
_HOME = {name: f"{__name__}.{file}" for file, names in _NAMES.items() for name in names.split()}

__getattr__ = on_first_use(__name__, _HOME)
