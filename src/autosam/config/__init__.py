"""Settings.

A setting comes from, in rising order: the defaults in `sections`, the model file's own settings, a YAML file
(``--config``) and single values (``--set section.key=value``).
"""

from autosam.config.load import config_folder, different_settings, find_config, load_config, make_config
from autosam.config.sections import (
    AugmentConfig,
    Config,
    DataConfig,
    DecodeConfig,
    GeneratorConfig,
    ImagesConfig,
    MergeConfig,
    ModelConfig,
    PromptsConfig,
    SamConfig,
    SourceConfig,
    TilesConfig,
    TrainingConfig,
)

__all__ = [
    "AugmentConfig",
    "Config",
    "DataConfig",
    "DecodeConfig",
    "GeneratorConfig",
    "ImagesConfig",
    "MergeConfig",
    "ModelConfig",
    "PromptsConfig",
    "SamConfig",
    "SourceConfig",
    "TilesConfig",
    "TrainingConfig",
    "config_folder",
    "different_settings",
    "find_config",
    "load_config",
    "make_config",
]
