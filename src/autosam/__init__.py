"""autosam: prompt-free instance segmentation of microscopy images with a prompt generator and SAM."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autosam.config import Config as Config
    from autosam.config import load_config as load_config
    from autosam.errors import AutosamError as AutosamError
    from autosam.images import read_image as read_image
    from autosam.pipeline.segmentation import Segmentation as Segmentation
    from autosam.pipeline.segmenter import Segmenter as Segmenter
    from autosam.volumes.python_face import segment_volume as segment_volume

__version__ = "0.5.0"

# Imported on first use, so that `autosam --help` and `import autosam` load neither torch nor scipy.
_PUBLIC = {
    "AutosamError": "autosam.errors",
    "Config": "autosam.config",
    "Segmentation": "autosam.pipeline.segmentation",
    "Segmenter": "autosam.pipeline.segmenter",
    "load_config": "autosam.config",
    "read_image": "autosam.images",
    "segment_volume": "autosam.volumes.python_face",
}
__all__ = [
    "AutosamError",
    "Config",
    "Segmentation",
    "Segmenter",
    "__version__",
    "load_config",
    "read_image",
    "segment_volume",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'autosam' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
