"""The images of a case of the study: what is corrected and learnt from, and what is scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray

from autosam.config import ImagesConfig, SourceConfig, make_config
from autosam.data import LabeledImage
from autosam.data.folder_files import images_of
from autosam.data.folders import SplitPart, load_labeled_images, read_split
from autosam.errors import ConfigError
from autosam.images import ensure_folder, write_json, write_labels
from autosam.images.read import read_json, read_pixels
from autosam.pipeline.find_zoom import known_zoom

MARGIN = 64
"""Pixels around the part of an image that has labels; the rest is cut off."""

LEARN, SCORE = "learn", "score"
MADE = "case.json"
"""Says, in a folder of images, what they were made from."""


@dataclass(frozen=True)
class Case:
    """A case of a file of cases.

    Attributes
    ----------
    source : SourceConfig
        Folders are relative to the data.
    learn, score : tuple of str
        Images to correct and learn from, and images to score, by name without suffix.
    """

    source: SourceConfig
    learn: tuple[str, ...]
    score: tuple[str, ...]


def read_case(path: Path, name: str, data: Path) -> Case:
    """Read a case: a mapping of names to what a source of a recipe has, and to ``learn`` and ``score``.

    Those two are lists, or the name of a part of the source in ``splits.json`` of the data.

    Raises
    ------
    ConfigError
        If there is no such case, it lacks something, or has something unknown.
    InputError
        If ``splits.json`` has no such part.
    """
    try:
        cases = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); name a YAML file of cases") from error
    there = [str(one) for one in cases] if isinstance(cases, dict) else []
    if name not in there or not isinstance(cases[name], dict):
        raise ConfigError(f"{path} has no case {name}; it has {', '.join(there) or 'none'}")
    given: dict[str, Any] = dict(cases[name])
    listed = {part: given.pop(part, None) for part in (LEARN, SCORE)}
    # A source of known pixel size wants one to be brought to; here each model brings it to its own.
    images = {"pixel_size": given.get("pixel_size")}
    try:
        source = make_config({"images": images, "data": {"sources": [{**given, "name": name}]}}).data.sources[0]
    except ConfigError as error:
        raise ConfigError(f"case {name} of {path} has {error}") from error
    stems = {part: _stems(listed[part], source, data) for part in (LEARN, SCORE)}
    for part, own in stems.items():
        if not own:
            raise ConfigError(f"case {name} of {path} has no images to {part}; list some")
    return Case(source, **stems)


def _stems(given: object, source: SourceConfig, data: Path) -> tuple[str, ...]:
    if isinstance(given, str):
        folder = source.images.partition("/")[0]
        given = read_split(data / "splits.json", folder, cast(SplitPart, given))
    return tuple(map(str, given)) if isinstance(given, list) else ()


@dataclass(frozen=True, eq=False)
class Prepared:
    """The images of a case as folders ``learn`` and ``score``, each with images, labels and, perhaps, valid.

    Images are cut to the part that has labels. Labels are instances.
    """

    case: Case
    folder: Path

    @classmethod
    def make(cls, case: Case, data: Path, folder: Path) -> "Prepared":
        """Write the folders, or take those that are there.

        Raises
        ------
        ConfigError
            If they hold images of another case, such as of another list.
        """
        source = case.source
        for part, stems in ((LEARN, case.learn), (SCORE, case.score)):
            place = folder / part
            wanted = {"source": source.model_dump(mode="json"), "images": list(stems)}
            if (place / MADE).is_file():
                if read_json(place / MADE) != wanted:
                    raise ConfigError(
                        f"{place} was made when case {source.name} was another; delete {folder}, or name another "
                        "folder with --work"
                    )
                continue
            files = images_of(data / source.images, data / source.labels)
            known = load_labeled_images(
                data / source.images,
                data / source.labels,
                source=source.name,
                stems=list(stems),
                component_size=source.min_size if source.components else None,
                valid=None if source.valid is None else data / source.valid,
                ignore=source.ignore_label,
            )
            for one in known:
                stem = one.name.partition("/")[2]
                _write(place, stem, read_pixels(files[stem]), one)
            write_json(place / MADE, wanted)
        return cls(case, folder)

    def labeled(self, part: str, settings: ImagesConfig) -> list[LabeledImage]:
        """Read the images of a part, normalized and zoomed as a model wants them."""
        return load_labeled_images(
            self.folder / part / "images",
            self.folder / part / "labels",
            source=self.case.source.name,
            settings=settings,
            zoom=known_zoom(settings, pixel_size_nm=self.case.source.pixel_size, diameter=None),
        )


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
