"""The scenes that a config's `data` section names."""

from pathlib import Path

from autosam.config import Config
from autosam.data.folders import Part, Scene, divide, load_scenes, read_split


def load_part(folder: Path, config: Config, part: Part) -> list[Scene]:
    """Read all training or all validation scenes.

    Parameters
    ----------
    folder : Path
        What the sources and the split file are relative to.
    config : Config
    part : {"train", "val"}

    Returns
    -------
    list of Scene
        Source by source, sorted by name.

    Raises
    ------
    InputError
        If a folder, a file or a list of the split is missing.
    """
    scenes: list[Scene] = []
    for source in config.data.sources:
        images = folder / source.images
        stems = (
            divide(images, part)
            if config.data.split is None
            else read_split(folder / config.data.split, source.name, part)
        )
        scenes += load_scenes(
            images,
            folder / source.labels,
            source=source.name,
            stems=stems,
            as_components=source.components,
            min_size=source.min_size,
            low=config.images.low,
            high=config.images.high,
            non_finite=config.images.non_finite,
        )
    return scenes
