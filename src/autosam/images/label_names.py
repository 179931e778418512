"""Which label file belongs to which image: the names that people and programs give to labels."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from autosam.images.formats import IMAGE_SUFFIXES, LABEL_SUFFIXES

_WORDS = (
    "labels",
    "cp_masks",
    "masks",
    "label",
    "mask",
    "seg",
    "segmentation",
    "instances",
    "ground_truth",
    "groundtruth",
    "gt",
    "annotations",
    "annotation",
)
LABEL_MARKS = tuple(separator + word for separator in "_-. " for word in _WORDS)
"""What is added to the name of an image for its labels: autosam's own, Cellpose's, and what people write."""
SURE_MARKS = ("_labels", "_cp_masks", "_masks", "_label", "_mask", "-labels", "-masks", "-label", "-mask")
"""Those that tell labels even where other files have none."""
SEG_ENDING = "_seg.npy"
"""What Cellpose's window saves beside an image."""

# What the name of an image may have that the name of its labels lacks; `_0000` is nnU-Net's first channel.
_IMAGE_MARKS = ("", "_img", "_image", "_raw", "_0000")
_IMAGE_PREFIXES = ("", "img_", "image_", "im_")
# As in img_1.png and mask_1.png.
_LABEL_PREFIX = re.compile(r"(?:masks?|labels?|seg|gt)_(?=.)", re.IGNORECASE)
# A stem goes without `.ome` too, so the longer endings come first.
_ENDINGS = (
    *(f".ome{suffix}" for suffix in (".tif", ".tiff", ".zarr")),
    SEG_ENDING,
    ".geojson",
    *dict.fromkeys((*LABEL_SUFFIXES, *IMAGE_SUFFIXES)),
)


def without_suffix(name: str) -> str:
    """Take the known ending off the name of an image or of labels.

    Examples
    --------
    >>> without_suffix("a.ome.tif"), without_suffix("a_seg.npy"), without_suffix("TCGA-21.x")
    ('a', 'a', 'TCGA-21.x')
    """
    return next((name[: -len(s)] for s in _ENDINGS if name.lower().endswith(s) and len(name) > len(s)), name)


def unmarked(stem: str) -> list[str]:
    """Give the names of the image that a stem with a mark can be the labels of; none without a mark.

    Examples
    --------
    >>> unmarked("s_cp_masks"), unmarked("s_Labels"), unmarked("s.ome_labels"), unmarked("s")
    (['s', 's_cp'], ['s'], ['s.ome', 's'], [])
    """
    whole = [stem[: -len(mark)] for mark in LABEL_MARKS if stem.lower().endswith(mark) and len(stem) > len(mark)]
    return list(dict.fromkeys(name for given in whole for name in (given, plain(given))))


def plain(stem: str) -> str:
    """Take off what is left of an image's suffix in the name of its labels.

    Examples
    --------
    >>> plain("s.ome"), plain("s.tif"), plain("s.v1")
    ('s', 's', 's.v1')
    """
    name = without_suffix(stem)
    return name[:-4] if name.lower().endswith(".ome") and len(name) > 4 else name


def label_candidates(images: Collection[str], files: Iterable[Path]) -> dict[str, list[Path]]:
    """Find the label files of each image by their names.

    A file whose name is that of an image belongs to it. Any other one belongs to the image whose name it has with
    one of `LABEL_MARKS` added, or as ``NAME_seg.npy``; the image may be called ``NAME_img``. So do ``mask_NAME``
    and ``img_NAME``.

    Parameters
    ----------
    images : collection of str
        Names without suffix, as of `without_suffix`.
    files : iterable of Path
        Label files.

    Returns
    -------
    dict of str to list of Path
        One or more files for each image that has some, equal names first, then in the order of the marks.
    """
    found: dict[str, list[tuple[int, Path]]] = {}
    for file in files:
        stem = without_suffix(file.name)
        names = [stem] if stem in images else _names_of_image(stem)
        place = _place(file, stem, marked=stem not in images)
        for name in names:
            if name in images:
                found.setdefault(name, []).append((place, file))
                break
    return {name: [file for _, file in sorted(listed)] for name, listed in found.items()}


def labels_beside(files: Collection[Path]) -> Mapping[Path, Path]:
    """Find the label files that lie beside their images in one folder.

    Returns
    -------
    mapping of Path to Path
        From each file whose name is that of another one with a mark added to that one, its image. A file that
        has a mark and no image beside it is an image.

    Examples
    --------
    >>> beside = labels_beside([Path("s.tif"), Path("s_masks.tif"), Path("cell_mask.tif")])
    >>> {str(labels): str(image) for labels, image in beside.items()}
    {'s_masks.tif': 's.tif'}
    """
    by_stem: dict[str, Path] = {}
    for file in files:
        if not file.name.lower().endswith(SEG_ENDING):
            by_stem.setdefault(without_suffix(file.name).casefold(), file)
    found: dict[Path, Path] = {}
    for file in files:
        stem = without_suffix(file.name)
        seg = [stem] if file.name.lower().endswith(SEG_ENDING) else []
        for name in [*seg, *unmarked(stem)]:
            image = next((by_stem[n] for end in _IMAGE_MARKS if (n := name.casefold() + end) in by_stem), None)
            if image is not None and image != file:
                found[file] = image
                break
    return found


def _names_of_image(stem: str) -> list[str]:
    """List what the image of labels may be called, the likeliest first."""
    named = [name + end for name in (stem, *unmarked(stem)) for end in _IMAGE_MARKS]
    prefix = _LABEL_PREFIX.match(stem)
    return named if prefix is None else named + [start + stem[prefix.end() :] for start in _IMAGE_PREFIXES]


def _place(file: Path, stem: str, *, marked: bool) -> int:
    if file.name.lower().endswith(SEG_ENDING):
        return len(LABEL_MARKS) + 1
    return 1 + next((i for i, mark in enumerate(LABEL_MARKS) if stem.lower().endswith(mark)), 0) if marked else 0
