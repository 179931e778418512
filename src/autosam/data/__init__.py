"""Data sets: public and own ones in one form on disk, and training images with their instances."""

from autosam.data.folders import LabeledImage, load_labeled_images
from autosam.data.manifest import Item, Manifest
from autosam.data.store import Store, Volume

__all__ = ["Item", "LabeledImage", "Manifest", "Store", "Volume", "load_labeled_images"]
