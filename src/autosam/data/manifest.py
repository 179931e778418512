"""What a store says about itself: the origin of its images, their terms of use, and one line per image."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from autosam.config.old_names import HEADER_FIELDS, renamed
from autosam.errors import InputError

FORMAT = "autosam-store"
VERSION = 1

Split = Literal["train", "val", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Item:
    """One image of a store: a single image, or one slice of a volume.

    Attributes
    ----------
    name : str
        Unique in the store, whatever the case of its letters, and fit for a file name.
    group : str
        Images that may be held out together, such as those of a modality or an organ; "" where there is none.
    volume : str or None
        The volume that the slice belongs to; None for a single image.
    z : int or None
        Number of the slice in the release, from 0; missing numbers are gaps. None for a single image.
    shape : tuple of int
        (H, W), or (H, W, 3) for color.
    dtype : str
        Type of the image's values, as stored: "uint8".
    labels_dtype : str or None
        Type of the ids; None where there are no labels.
    split : {"train", "val", "test"} or None
        The part that the image belongs to; None for no part, such as a slice in the gap between two.
    valid : bool
        Whether there is a mask of the pixels where labels are complete.
    """

    name: str
    group: str
    volume: str | None
    z: int | None
    shape: tuple[int, ...]
    dtype: str
    labels_dtype: str | None
    split: Split | None = None
    valid: bool = False

    @property
    def key(self) -> str:
        """Name under which the pixels are stored: the volume's, or a single image's own."""
        return self.name if self.volume is None else self.volume


@dataclass(frozen=True)
class Manifest:
    """Everything that a store knows besides pixels.

    Attributes
    ----------
    source : str
        Name of the layout, such as "mitoem".
    license : str
        Terms of use, or "not stated".
    citation : str
        What to cite; "" where it is not known.
    voxel_size_nm : tuple of 3 floats or None
        (z, y, x) in nanometers; z is 0 for single images, None where the size is not known.
    ids : {"2d", "3d"}
        With "3d", equal ids in two slices of a volume are one object; with "2d", an id holds in its slice alone.
    instances : str
        How the instances were made, in words.
    min_size : int or None
        Smallest connected component in voxels, where the instances are components; None where they are not.
    notes : tuple of str
        Decisions made while reading the release, such as which id was taken for background.
    items : tuple of Item
        In the order of import; the slices of a volume follow each other by z.
    """

    source: str
    license: str = "not stated"
    citation: str = ""
    voxel_size_nm: tuple[float, float, float] | None = None
    ids: Literal["2d", "3d"] = "2d"
    instances: str = "as published"
    min_size: int | None = None
    notes: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()

    def dumps(self) -> str:
        """Write as JSON, one line per item."""
        header = {"format": FORMAT, "version": VERSION} | asdict(replace(self, items=()))
        del header["items"]
        lines = json.dumps(header, indent=1, ensure_ascii=False)[:-2]
        items = ",\n".join("  " + json.dumps(_entry(item), ensure_ascii=False) for item in self.items)
        return f'{lines},\n "items": [\n{items}\n ]\n}}\n'

    @classmethod
    def loads(cls, text: str, *, name: object) -> "Manifest":
        """Read what `dumps` wrote, and refuse all else; `name` is the store, for messages."""
        try:
            content = json.loads(text)
            if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
                raise InputError(f"{name} is not an autosam store; make one with `autosam data import`.")
            version = content.pop("version", None)
            if version != VERSION:
                raise InputError(f"{name} is a store of version {version}; this autosam reads version {VERSION}.")
            content = renamed(content, HEADER_FIELDS)
            size = content["voxel_size_nm"]
            content["voxel_size_nm"] = None if size is None else tuple(float(n) for n in size)
            content["notes"] = tuple(content["notes"])
            content["items"] = tuple(_item(entry) for entry in content["items"])
            manifest = cls(**content)
            check_items(manifest.items)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"the manifest of {name} is damaged: {' '.join(str(error).split())}.") from error
        return manifest

    def with_splits(self, splits: Mapping[str, Split | None]) -> "Manifest":
        """Put the named items into parts; others stay where they are, and unknown names or parts are refused."""
        unknown = sorted(set(splits) - {item.name for item in self.items})
        if unknown:
            raise InputError(
                f"no image {', '.join(unknown[:5])} in the store; there are {len(self.items)} others."
            )
        wrong = sorted({str(split) for split in splits.values() if split is not None and split not in SPLITS})
        if wrong:
            raise InputError(f"unknown part {', '.join(wrong)}; wanted {', '.join(SPLITS)} or none.")
        items = (replace(item, split=splits[item.name]) if item.name in splits else item for item in self.items)
        return replace(self, items=tuple(items))


def _entry(item: Item) -> dict[str, Any]:
    # Only where there is a mask: earlier versions know no such entry.
    return {name: value for name, value in asdict(item).items() if name != "valid" or value}


def _item(entry: dict[str, Any]) -> Item:
    item = Item(**(entry | {"shape": tuple(int(n) for n in entry["shape"])}))
    if len(item.shape) not in (2, 3) or min(item.shape) < 1:
        raise ValueError(f"{item.name} has the shape {item.shape}")
    for dtype in (item.dtype, item.labels_dtype):
        if dtype is not None:
            np.dtype(dtype)
    return item


def check_items(items: tuple[Item, ...]) -> None:
    """Raise a `ValueError` for the first invalid or repeated name, unknown part, or slice that does not fit."""
    names: set[str] = set()
    last: dict[str, Item] = {}
    for item in items:
        if not is_name(item.name):
            raise ValueError(f"the name {item.name!r} is not valid for a file")
        if item.name.casefold() in names:
            raise ValueError(f"two images are called {item.name}")
        names.add(item.name.casefold())
        if item.split is not None and item.split not in SPLITS:
            raise ValueError(f"{item.name} is in the unknown part {item.split!r}")
        if item.volume is None:
            continue
        before = last.get(item.volume)
        if item.z is None or (before is not None and (before.z is None or before.z >= item.z)):
            raise ValueError(f"{item.name} is not the next slice of the volume {item.volume}")
        if before is not None and _kind(before) != _kind(item):
            raise ValueError(f"{item.name} differs from {before.name} of the same volume in size or type")
        last[item.volume] = item


def _kind(item: Item) -> tuple[tuple[int, ...], str, str | None, bool]:
    return item.shape, item.dtype, item.labels_dtype, item.valid


def is_name(text: str) -> bool:
    """Tell whether a text may name an image, a volume and their files.

    Examples
    --------
    >>> is_name("TCGA-18-5592-01Z"), is_name("a/b"), is_name(".hidden")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None


def as_name(text: str) -> str:
    """Make a name of any text.

    Examples
    --------
    >>> as_name("Tissue Images/TCGA 1.tif"), as_name(".x"), as_name("")
    ('Tissue_Images_TCGA_1.tif', '_.x', '_')
    """
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "_", text)
    return name if is_name(name) else "_" + name
