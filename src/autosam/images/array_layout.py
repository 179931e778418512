"""Which axes of an array in HDF5 or Zarr are rows, columns, channels, slices and times."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NO_AXIS = "_"


def looks_like_color(shape: tuple[int, ...]) -> bool:
    """Tell whether the last axis of an unnamed array holds channels: 1 to 4 long, the one before longer.

    Examples
    --------
    >>> looks_like_color((512, 512, 3)), looks_like_color((3, 512, 512))
    (True, False)
    """
    return len(shape) >= 3 and 1 <= shape[-1] <= 4 < shape[-2]


@dataclass(frozen=True)
class ArrayLayout:
    """The axes of an array.

    Attributes
    ----------
    axes : str
        A letter for each axis: ``y``, ``x``, ``c`` (channels), ``t``, ``z``, or ``_`` for one of length 1 that has
        no meaning.
    shape : tuple of int
        As stored.
    said : bool
        The file names its axes.
    """

    axes: str
    shape: tuple[int, ...]
    said: bool = False

    @classmethod
    def of(cls, shape: tuple[int, ...], said: str = "") -> "ArrayLayout | None":
        """Find the layout of an array by the names of its axes, or by its shape; None where it is not clear.

        Without names, arrays are (H, W), (H, W, C), (Z, H, W) or (Z, H, W, C), with C from 1 to 4, and any number
        of axes of length 1 beside these.

        Examples
        --------
        >>> ArrayLayout.of((1, 1, 512, 512, 1)).axes, ArrayLayout.of((30, 512, 512)).axes
        ('__yx_', 'zyx')
        """
        if said:
            known = {"y", "x"} <= set(said) <= set("tzyxc") and len(set(said)) == len(said) == len(shape)
            return cls(said, shape, said=True) if known else None
        if len(shape) < 2:
            return None
        inner, after = shape, ""
        while len(inner) > 3 and inner[-1] == 1:
            inner, after = inner[:-1], after + _NO_AXIS
        plane = "yxc" if looks_like_color(inner) else "yx"
        lead = inner[: -len(plane)]
        long = [i for i, n in enumerate(lead) if n != 1]
        if len(long) > 1:
            return None
        if len(lead) == 1:
            long = [0]
        before = "".join("z" if i in long else _NO_AXIS for i in range(len(lead)))
        return cls(before + plane + after, shape)

    def length(self, axis: str) -> int:
        """Give the length of an axis; 1 where there is none."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def images(self) -> int:
        """How many images there are: slices at all times."""
        return self.length("t") * self.length("z")

    @property
    def channels(self) -> int:
        """How many channels each has."""
        return self.length("c")

    @property
    def color(self) -> bool:
        """Three values at the end of the array are red, green and blue."""
        return self.channels == 3 and self.axes.rstrip(_NO_AXIS)[-1] == "c"

    @property
    def canonical(self) -> tuple[int, ...]:
        """Shape without axes of length 1: (H, W), (H, W, C), (Z, H, W) or (Z, H, W, C).

        A first axis of length 1 stays where there are three of which nothing is said.
        """
        stack = self.images > 1 or (not self.said and "z" in self.axes)
        lead = (self.images,) if stack else ()
        tail = (self.channels,) if self.channels > 1 else ()
        return (*lead, self.length("y"), self.length("x"), *tail)

    @property
    def plain(self) -> bool:
        """The array is stored in its canonical form."""
        return self.axes in ("yx", "yxc", "zyx", "zyxc", "tyx") and self.canonical == self.shape

    def read(self, array: Any, number: int | None = None, channel: int | None = None) -> NDArray[Any]:
        """Read one image, or all of them, in the canonical order.

        Parameters
        ----------
        array
            Of h5py or Zarr; only what is asked for is read.
        number : int, optional
            Number among the images; by default all, with their axis in front where there are several.
        channel : int, optional
            Number of the channel to take alone.
        """
        index: list[Any] = [slice(None)] * len(self.axes)
        for i, axis in enumerate(self.axes):
            if axis == _NO_AXIS:
                index[i] = 0
            elif axis == "c" and channel is not None:
                index[i] = channel
        if number is not None:
            place = dict(zip("tz", np.unravel_index(number, (self.length("t"), self.length("z"))), strict=True))
            for axis in set("tz") & set(self.axes):
                index[self.axes.index(axis)] = int(place[axis])
        found: NDArray[Any] = np.asarray(array[tuple(index)])
        left = [axis for axis, at in zip(self.axes, index, strict=True) if isinstance(at, slice)]
        found = found.transpose([left.index(axis) for axis in "tzyxc" if axis in left])
        if "c" in left and self.channels == 1:
            found = found[..., 0]
        return found.reshape(self.canonical) if number is None and channel is None else found


def axes_of_hdf5(item: Any) -> str:
    """Read the letters of the axes of an HDF5 dataset: ilastik's `axistags` or dimension labels; or nothing."""
    tags = item.attrs.get("axistags")
    if tags is not None:
        try:
            text = tags.decode() if isinstance(tags, bytes) else str(tags)
            return "".join(str(axis["key"]).lower() for axis in json.loads(text)["axes"])
        except (ValueError, KeyError, TypeError):
            return ""
    labels = [str(dimension.label).strip().lower() for dimension in item.dims]
    return "".join(labels) if all(len(label) == 1 for label in labels) else ""
