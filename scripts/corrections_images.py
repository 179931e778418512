"""The images of a case of the study: what is corrected and learnt from, and what is scored."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray

from autosam.config import ImagesConfig
from autosam.data import LabeledImage
from autosam.data.folder_files import images_of
from autosam.data.folders import load_labeled_images
from autosam.errors import ConfigError
from autosam.images import ensure_folder, write_labels
from autosam.images.read import read_json, read_pixels
from autosam.pipeline.find_zoom import known_zoom

MARGIN = 64
"""Pixels around the part of an image that has labels; the rest is cut off."""

LEARN, SCORE = "learn", "score"


@dataclass(frozen=True)
class Case:
    """A case of a file of cases.

    Attributes
    ----------
    name : str
        Of the source.
    images, labels : str
        Folders in the data.
    learn, score : tuple of str
        Images to correct and learn from, and images to score, by name without suffix.
    valid : str, optional
        Folder of masks of what has labels; by default a folder ``valid`` beside the labels.
    components : int, optional
        The labels are semantic, and components of so many pixels are the objects.
    pixel_size : float, optional
        In nm.
    """

    name: str
    images: str
    labels: str
    learn: tuple[str, ...]
    score: tuple[str, ...]
    valid: str | None = None
    components: int | None = None
    pixel_size: float | None = None


def read_case(path: Path, name: str, data: Path) -> Case:
    """Read a case: a mapping of names to what `Case` has.

    ``learn`` and ``score`` are lists, or the name of a part of the source in ``splits.json`` of the data.

    Raises
    ------
    ConfigError
        If there is no such case, or it lacks something.
    """
    try:
        cases = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); name a YAML file of cases") from error
    if not isinstance(cases, dict) or name not in cases:
        raise ConfigError(f"{path} has no case {name}; it has {', '.join(cases or ())}")
    given: dict[str, Any] = dict(cases[name])
    for part in (LEARN, SCORE):
        if isinstance(given.get(part), str):
            given[part] = read_json(data / "splits.json")[Path(given["images"]).parts[0]][given[part]]
        given[part] = tuple(str(stem) for stem in given.get(part, ()))
        if not given[part]:
            raise ConfigError(f"case {name} of {path} has no images to {part}")
    known = {"images", "labels", LEARN, SCORE, "valid", "components", "pixel_size"}
    if not {"images", "labels"} <= given.keys() <= known:
        raise ConfigError(
            f"case {name} of {path} has {', '.join(given)}; wanted some of {', '.join(sorted(known))}"
        )
    return Case(name, **given)


@dataclass(frozen=True, eq=False)
class Prepared:
    """The images of a case as folders ``learn`` and ``score``, each with images, labels and, perhaps, valid.

    Images are cut to the part that has labels. Labels are instances.
    """

    case: Case
    folder: Path
    _kept: dict[tuple[str, str], list[LabeledImage]] = field(default_factory=dict, repr=False)

    @classmethod
    def make(cls, case: Case, data: Path, folder: Path) -> "Prepared":
        """Write the folders, or take those that are there."""
        for part, stems in ((LEARN, case.learn), (SCORE, case.score)):
            place = folder / part
            if (place / "done").is_file():
                continue
            files = images_of(data / case.images, data / case.labels)
            known = load_labeled_images(
                data / case.images,
                data / case.labels,
                source=case.name,
                stems=list(stems),
                component_size=case.components,
                valid=None if case.valid is None else data / case.valid,
            )
            for one in known:
                stem = one.name.partition("/")[2]
                _write(place, stem, read_pixels(files[stem]), one)
            (place / "done").touch()
        return cls(case, folder)

    def labeled(self, part: str, settings: ImagesConfig) -> list[LabeledImage]:
        """Read the images of a part, normalized and zoomed as a model wants them."""
        key = part, settings.model_dump_json()
        if key not in self._kept:
            self._kept[key] = load_labeled_images(
                self.folder / part / "images",
                self.folder / part / "labels",
                source=self.case.name,
                settings=settings,
                zoom=known_zoom(settings, pixel_size_nm=self.case.pixel_size, diameter=None),
            )
        return self._kept[key]


def _write(place: Path, stem: str, pixels: NDArray[Any], one: LabeledImage) -> None:
    window = np.s_[:, :] if one.valid is None else _around(one.valid)
    parts = {"images": pixels, "labels": one.labels, "valid": one.valid}
    for part, array in parts.items():
        if array is None:
            continue
        file = ensure_folder(place / part) / f"{stem}.tif"
        if part == "images":
            photometric = "rgb" if array.ndim == 3 else "minisblack"
            tifffile.imwrite(
                file, np.ascontiguousarray(array[window]), photometric=photometric, compression="zlib"
            )
        else:
            write_labels(file, np.ascontiguousarray(array[window]).astype(np.int32))


def _around(valid: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, cols = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
    first, last = ([int(lines[at]) for lines in (rows, cols)] for at in (0, -1))
    return (
        slice(max(0, first[0] - MARGIN), last[0] + 1 + MARGIN),
        slice(max(0, first[1] - MARGIN), last[1] + 1 + MARGIN),
    )
