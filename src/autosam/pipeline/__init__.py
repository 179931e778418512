"""The way of one image, step by step, and runs over many images."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autosam.pipeline.merging import merge_answers as merge_answers

# Imported on first use: the record of a run is read without torch.
_PUBLIC = {"merge_answers": "autosam.pipeline.merging"}
__all__ = ["merge_answers"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'autosam.pipeline' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
