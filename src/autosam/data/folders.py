"""Folder pairs: images in one folder, labels of the same names in another."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from autosam.data.refusal import refuse_faults
from autosam.errors import InputError
from autosam.images import normalize, read_image, read_labels, to_uint8
from autosam.metrics import components
from autosam.prompts.prompt import Prompt
from autosam.prompts.table import read_prompts

_Item = TypeVar("_Item")
SplitPart = Literal["train", "val"]
_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class LabeledImage:
    """One labeled image.

    Attributes
    ----------
    name : str
        ``source/stem``.
    source : str
        Which source it came from.
    image : ndarray of uint8, shape (H, W, 3)
        Normalized over the whole image.
    labels : ndarray of int32, shape (H, W)
        0 for background, 1..n for the instances.
    prompts : tuple of Prompt
        An user's prompts in whole-image pixels; empty where there are none.
    """

    name: str
    source: str
    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    prompts: tuple[Prompt, ...] = ()


def load_labeled_images(
    images: Path,
    labels: Path,
    *,
    source: str,
    stems: list[str] | None = None,
    as_components: bool = False,
    min_size: int = 50,
    low: float = 0.5,
    high: float = 99.5,
    non_finite: Literal["error", "background"] = "error",
    prompts: Path | None = None,
) -> list[LabeledImage]:
    """Read the images and labels of one folder pair into memory.

    Parameters
    ----------
    images, labels : Path
        The two folders; a pair shares its stem.
    source : str
        Name of the pair.
    stems : list of str, optional
        Only these; by default every image.
    as_components : bool
        The labels are semantic masks: see `metrics.components`.
    min_size : int
        Smallest component in pixels.
    low, high, non_finite
        Those of `images.normalize`.
    prompts : Path, optional
        A folder of an user's prompts: see `table_prompts`.

    Returns
    -------
    list of LabeledImage
        Sorted by stem.

    Raises
    ------
    InputError
        If a folder or a partner is missing, a file cannot be read or sizes differ: all the faults of the pair in
        one line. If there is a folder of prompts and none of the images has any there.
    """
    image_files, label_files = _by_stem(images), _by_stem(labels)
    wanted = sorted(image_files) if stems is None else sorted(stems)
    if stems is None and not wanted:
        raise _no_image(images)
    faults = [f"no image {stem} in {images}" for stem in wanted if stem not in image_files]
    faults += [f"no labels {stem} in {labels}" for stem in wanted if stem not in label_files]
    refuse_faults(faults, source)
    if prompts is not None:
        check_tables(prompts, wanted, source=source)
    labeled_images = []
    for stem in wanted:
        try:
            pixels, truth = read_image(image_files[stem]), read_labels(label_files[stem])
        except InputError as error:
            faults.append(str(error))
            continue
        try:
            image = to_uint8(normalize(pixels, low=low, high=high, non_finite=non_finite))
        except InputError as error:
            faults.append(f"{image_files[stem]}: {error}")
            continue
        if truth.shape != image.shape[:2]:
            faults.append(f"{stem} has an image of {image.shape[:2]} and labels of {truth.shape}")
            continue
        instances = components(truth, min_size=min_size) if as_components else renumbered(truth)
        asked: tuple[Prompt, ...] = ()
        if prompts is not None:
            try:
                asked = table_prompts(prompts, stem, image=image_files[stem].name, shape=instances.shape)
            except InputError as error:
                faults.append(str(error))
        labeled_images.append(LabeledImage(f"{source}/{stem}", source, image, instances, asked))
    refuse_faults(faults, source)
    if (
        not as_components
        and labeled_images
        and all(_like_a_mask(labeled_image.labels) for labeled_image in labeled_images)
    ):
        raise InputError(
            f"every label image of {source} holds one id in several pieces, like a mask of all objects; set "
            "components: true for it in data.sources, or give each object an id of its own"
        )
    return labeled_images


def read_split(path: Path, source: str, part: SplitPart) -> list[str]:
    """Read the stems of one part of one source from a JSON file ``{source: {part: [stem, ...]}}``.

    Raises
    ------
    InputError
        If the file cannot be read or has no such list.
    """
    try:
        stems = json.loads(path.read_text(encoding="utf-8"))[source][part]
    except (OSError, ValueError) as error:
        raise InputError(f"split file {path} cannot be read: {error}") from error
    except (KeyError, TypeError) as error:
        raise InputError(
            f"split file {path} has no list {source}.{part}; add it or correct data.sources"
        ) from error
    if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
        raise InputError(f"split file {path}: {source}.{part} must be a list of file stems")
    return stems


def divide(folder: Path, part: SplitPart) -> list[str]:
    """Give the stems of one part where there is no split file.

    The last fifth, in the order of names, validates: neighboring slices look alike, so they must not be dealt
    out at random. A folder with a single image trains and validates on it.

    Raises
    ------
    InputError
        If the folder is missing or holds no image.
    """
    stems = sorted(_by_stem(folder))
    if not stems:
        raise _no_image(folder)
    n_val = max(1, len(stems) // 5)
    if len(stems) < 2:
        return stems
    return stems[-n_val:] if part == "val" else stems[:-n_val]


def evenly_spaced(items: Sequence[_Item], fraction: float) -> list[_Item]:
    """Take a share of the items, at least one, evenly spaced.

    Neighboring slices look alike, so a share of them that lies together would show less of the volume.

    Examples
    --------
    >>> evenly_spaced(range(10), 0.3), evenly_spaced(range(10), 0.001), evenly_spaced([], 0.5)
    ([1, 5, 8], [5], [])
    """
    count = min(len(items), max(1, round(fraction * len(items))))
    return [items[(2 * number + 1) * len(items) // (2 * count)] for number in range(count)]


def check_tables(folder: Path, names: Sequence[str], *, source: str) -> None:
    """Refuse a folder of prompt tables that has none for any of the images; no images need none.

    Raises
    ------
    InputError
        If the folder is missing, or has no table for any image.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder} of prompts; correct prompts of the source {source} in data.sources")
    if names and not any((folder / f"{name}.csv").is_file() for name in names):
        raise InputError(
            f"none of the {len(names)} training images of {source} has a table in {folder}; call the table of an "
            "image NAME.csv, or leave prompts out of data.sources"
        )


def table_prompts(folder: Path, name: str, *, image: str, shape: tuple[int, int]) -> tuple[Prompt, ...]:
    """Read an user's prompts for one image.

    Parameters
    ----------
    folder : Path
        Holds a table as `prompts.table.read_prompts` reads it for each image that has prompts.
    name : str
        The table is ``name.csv``.
    image : str
        What a column of images calls it.
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    tuple of Prompt
        Empty without a table.

    Raises
    ------
    InputError
        If the table has faults.
    """
    path = folder / f"{name}.csv"
    return tuple(read_prompts(path, image=image, shape=shape)) if path.is_file() else ()


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"no folder {folder}; correct the data folder or data.sources in the config")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        # Hidden files are what others leave behind: half-written files, macOS's twins.
        if path.suffix.lower() not in _SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise InputError(f"{folder} holds both {found[path.stem].name} and {path.name}; take one of them out")
        found[path.stem] = path
    return found


def _no_image(folder: Path) -> InputError:
    return InputError(f"{folder} holds no image; wanted files ending in {', '.join(_SUFFIXES)}")


def _like_a_mask(labels: NDArray[np.int32]) -> bool:
    return int(labels.max(initial=0)) == 1 and int(components(labels, min_size=1).max()) > 1


def renumbered(labels: NDArray[np.generic]) -> NDArray[np.int32]:
    """Give the ids the numbers 1 to n in their order; 0 stays background."""
    _, inverse = np.unique(labels, return_inverse=True)
    numbers = inverse.reshape(labels.shape).astype(np.int32)
    # np.unique sorts, so 0 is the first id exactly where there is background.
    return numbers if (labels == 0).any() else np.asarray(numbers + 1, dtype=np.int32)
