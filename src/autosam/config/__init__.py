"""Settings.

A setting comes from, in rising order: the defaults in the sections, the model file's own settings, a YAML file
(``--config``) and single values (``--set section.key=value``).
"""

from autosam.config.data_section import DataConfig, SourceConfig
from autosam.config.decode_section import DecodeConfig, Flips
from autosam.config.load import (
    config_folder,
    different_settings,
    find_config,
    load_config,
    make_config,
    make_model,
)
from autosam.config.model_section import LITE1_ENCODER, SAM_ENCODER, GeneratorConfig, ModelConfig, SamConfig
from autosam.config.sections import Config, ImagesConfig, MergeConfig, PromptsConfig
from autosam.config.training_section import Metric, SimulateConfig, TrainingConfig
from autosam.config.volume_section import VolumeConfig

__all__ = [
    "LITE1_ENCODER",
    "SAM_ENCODER",
    "Config",
    "DataConfig",
    "DecodeConfig",
    "Flips",
    "GeneratorConfig",
    "ImagesConfig",
    "MergeConfig",
    "Metric",
    "ModelConfig",
    "PromptsConfig",
    "SamConfig",
    "SimulateConfig",
    "SourceConfig",
    "TrainingConfig",
    "VolumeConfig",
    "config_folder",
    "different_settings",
    "find_config",
    "load_config",
    "make_config",
    "make_model",
]
