"""Folder pairs: images in one folder, labels of the same names in another."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from autosam.config import ImagesConfig
from autosam.data.folder_files import images_of, label_files_of, read_candidates
from autosam.data.refusal import noting, refuse_faults
from autosam.data.valid_pixels import inside, masks_of, read_mask_of, split_ignored
from autosam.errors import InputError
from autosam.images import to_uint8
from autosam.images.channels import mean_picture, normalize_channels
from autosam.images.label_names import without_suffix
from autosam.images.read import read_json, read_pixels
from autosam.metrics import components
from autosam.metrics.semantic import SemanticEvidence
from autosam.prompts.prompt import Prompt
from autosam.prompts.table import read_prompts

_Item = TypeVar("_Item")
SplitPart = Literal["train", "val"]


@dataclass(frozen=True, eq=False)
class LabeledImage:
    """An image with its labels.

    Attributes
    ----------
    name : str
        ``source/stem``.
    source : str
        The source that it came from.
    image : ndarray of uint8, shape (H, W, 3)
        Normalized over the whole image.
    labels : ndarray of int32, shape (H, W)
        0 for background, 1..n for the instances.
    prompts : tuple of Prompt
        User prompts in whole-image pixels.
    valid : ndarray of bool, shape (H, W), or None
        Where labels are complete; elsewhere they are 0, and nothing is learnt or scored. None for everywhere.
    zoom : float or None
        How many times larger the networks see the image, on top of ``images.zoom``, by its pixel size; None where
        that is not known.
    """

    name: str
    source: str
    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    prompts: tuple[Prompt, ...] = ()
    valid: NDArray[np.bool_] | None = None
    zoom: float | None = None

    @property
    def counted(self) -> int:
        """Number of pixels that count."""
        return self.labels.size if self.valid is None else int(self.valid.sum())


def load_labeled_images(
    images: Path,
    labels: Path,
    *,
    source: str,
    stems: list[str] | None = None,
    component_size: int | None = None,
    settings: ImagesConfig | None = None,
    prompts: Path | None = None,
    valid: Path | None = None,
    ignore: int | None = None,
    zoom: float | None = None,
) -> list[LabeledImage]:
    """Read the images and labels of one folder pair into memory, sorted by stem.

    Parameters
    ----------
    images, labels : Path
        The two folders, or one twice. Labels have the name of their image, with or without a mark such as
        ``_masks``: see `images.label_names`.
    source : str
        Name of the pair.
    stems : list of str, optional
        Only these; by default every image.
    component_size : int, optional
        The labels are semantic masks, whose components of at least so many pixels are the instances. By default
        they are ids.
    settings : ImagesConfig, optional
        How images are normalized.
    prompts : Path, optional
        A folder of user prompts: see `table_prompts`.
    valid : Path, optional
        A folder of masks: see `masks_of`.
    ignore : int, optional
        Number in the labels of pixels that do not count.
    zoom : float, optional
        That of all images of the pair, see `LabeledImage`.

    Raises
    ------
    InputError
        If a folder or a partner is missing, a file cannot be read or sizes differ: all the faults of the pair in
        one line. If there is a folder of prompts and none of the images has any there.
    """
    wanted = None if stems is None else sorted(stems)
    if wanted == []:
        return []
    image_files = images_of(images, labels)
    label_files = label_files_of(image_files, labels, beside=images.resolve() == labels.resolve())
    # A list may have the suffixes too.
    wanted = sorted(image_files if wanted is None else {_known(stem, image_files) for stem in wanted})
    faults = [f"no image {stem} in {images}" for stem in wanted if stem not in image_files]
    faults += [f"no labels {stem} in {labels}" for stem in wanted if stem not in label_files]
    refuse_faults(faults, source, remedy="add the files, or leave the others out")
    masks = masks_of(wanted, labels, valid)
    if prompts is not None:
        check_tables(prompts, wanted, source=source)
    found: list[LabeledImage] = []
    evidence = SemanticEvidence()
    for stem in wanted:
        file = image_files[stem]
        with noting(faults):
            pixels, truth = read_pixels(file), read_candidates(label_files[stem], ignore=ignore)
            try:
                image = normalized(pixels, settings)
            except InputError as error:
                raise InputError(f"{file}: {error}") from error
            if truth.shape != image.shape[:2]:
                raise InputError(
                    f"{stem} has an image of {image.shape[:2]} and labels of {truth.shape}; replace one of them"
                )
            truth, counted = split_ignored(truth, read_mask_of(truth, masks.get(stem)), ignore=ignore)
            evidence.add(truth)
            ids = renumbered(truth) if component_size is None else components(truth, min_size=component_size)
            if counted is not None:
                ids, counted = inside(ids, counted)
                ids = renumbered(ids)
            asked = table_prompts(prompts, stem, image=file.name, shape=ids.shape)
            found.append(LabeledImage(f"{source}/{stem}", source, image, ids, asked, counted, zoom))
    refuse_faults(faults, source)
    if component_size is None:
        refuse_semantic(
            evidence,
            source,
            "set components: true for it in data.sources (autosam adapt: --components), or give each object an id "
            "of its own",
        )
    return found


def normalized(pixels: NDArray[Any] | Sequence[NDArray[Any]], settings: ImagesConfig | None) -> NDArray[np.uint8]:
    """Normalize an image, or its channels, as a config's `images` section, or its defaults, say: (H, W, 3)."""
    return to_uint8(mean_picture(normalize_channels(pixels, settings or ImagesConfig())))


def _known(stem: str, images: Collection[str]) -> str:
    return stem if stem in images or without_suffix(stem) not in images else without_suffix(stem)


def read_split(path: Path, source: str, part: SplitPart) -> list[str]:
    """Read the stems of one part of one source from a JSON file ``{source: {part: [stem, ...]}}``."""
    try:
        stems = read_json(path)[source][part]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"split file {path} has no list {source}.{part}; add it or correct data.sources"
        ) from error
    if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
        raise InputError(f"split file {path}: {source}.{part} must be a list of file stems")
    return stems


def divide(folder: Path, part: SplitPart, labels: Path | None = None) -> list[str]:
    """List the stems of one part where there is not a split file.

    The last fifth, in the order of names, validates. Neighboring slices look alike, so they must not be dealt out
    at random. A folder with a single image trains and validates on it. `labels` is the folder of the labels, which
    are no images where it is the same.
    """
    stems = list(images_of(folder, labels))
    if len(stems) < 2:
        return stems
    n_val = max(1, len(stems) // 5)
    return stems[-n_val:] if part == "val" else stems[:-n_val]


def evenly_spaced(items: Sequence[_Item], fraction: float) -> list[_Item]:
    """Take a fraction of the items, at least one, evenly spaced.

    Neighboring slices look alike, so a run of them would show less of the volume.

    Examples
    --------
    >>> evenly_spaced(range(10), 0.3), evenly_spaced(range(10), 0.001), evenly_spaced([], 0.5)
    ([1, 5, 8], [5], [])
    """
    count = min(len(items), max(1, round(fraction * len(items))))
    return [items[(2 * number + 1) * len(items) // (2 * count)] for number in range(count)]


def check_tables(folder: Path, names: Sequence[str], *, source: str) -> None:
    """Refuse a folder of prompt tables that is missing, or has none for any of the images."""
    if not folder.is_dir():
        raise InputError(f"no folder {folder} of prompts; correct prompts of the source {source} in data.sources")
    if names and not any((folder / f"{name}.csv").is_file() for name in names):
        raise InputError(
            f"none of the {len(names)} training images of {source} has a table in {folder}; call the table of an "
            "image NAME.csv, or leave prompts out of data.sources"
        )


def table_prompts(folder: Path | None, name: str, *, image: str, shape: tuple[int, ...]) -> tuple[Prompt, ...]:
    """Read the user prompts for an image from ``folder/name.csv``; none where there is no folder or no table.

    `image` is its name in the table's column of images, and `shape` begins with its rows and columns. Errors are
    those of `prompts.table.read_prompts`.
    """
    path = None if folder is None else folder / f"{name}.csv"
    if path is None or not path.is_file():
        return ()
    return tuple(read_prompts(path, image=image, shape=(shape[0], shape[1])))


def refuse_semantic(evidence: SemanticEvidence, source: str, remedy: str) -> None:
    """Refuse labels that are numbers of classes: each class would be one object in training.

    Masks of 255 with one object in each image are instances all the same.
    """
    if not evidence.kind or not evidence.several:
        return
    what, ids = "id is" if len(evidence.ids) == 1 else "ids are", ", ".join(map(str, sorted(evidence.ids)))
    raise InputError(
        f"the labels of {source} look semantic: the only {what} {ids}, "
        f"in {evidence.pieces} separate pieces over all images, like a mask of all objects; {remedy}"
    )


def renumbered(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Give the ids the numbers 1 to n in their order; 0 stays background."""
    _, inverse = np.unique(labels, return_inverse=True)
    numbers = inverse.reshape(labels.shape).astype(np.int32)
    # np.unique sorts, so 0 is the first id exactly where there is background.
    return numbers if (labels == 0).any() else np.asarray(numbers + 1, dtype=np.int32)
