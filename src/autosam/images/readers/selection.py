"""Which of the images and channels of a file are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from autosam.errors import InputError
from autosam.images.readers.stored import StoredImage

_AXES: tuple[Literal["z", "time", "series"], ...] = ("z", "time", "series")


@dataclass(frozen=True)
class Selection:
    """A choice that holds for every file; by default all images, with all channels, at the finest level.

    Attributes
    ----------
    channel : int or str, optional
        Number from 0, or name. A text of digits is a number, or a name where there is no such number.
    z, time, series : int, optional
        Take the images at this position of the axis alone, counted from 0.
    level : int
        Of a resolution pyramid, 0 for the finest.
    """

    channel: int | str | None = None
    z: int | None = None
    time: int | None = None
    series: int | None = None
    level: int = 0

    def record(self) -> dict[str, int | str] | None:
        """Give what was chosen, for a run record; None where nothing was."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        return {name: value for name, value in chosen.items() if name != "level" or value} or None

    def numbers(self, images: Sequence[StoredImage], name: object) -> list[int]:
        """Find the numbers of the images that are chosen among those of a file.

        Raises
        ------
        InputError
            If the file lacks an axis or a position that was asked for; `name` is that of the file.
        """
        chosen = list(range(len(images)))
        for axis in _AXES:
            wanted = getattr(self, axis)
            if wanted is None:
                continue
            there = sorted({at for image in images if (at := getattr(image, axis)) is not None})
            if wanted not in there:
                # A file with one plane has no axis; its only plane is number 0.
                if not there and wanted == 0:
                    continue
                has = f"it has {there[0]} to {there[-1]}" if there else "it has no such axis"
                raise InputError(f"{name}: {axis} {wanted} was asked for; {has}.")
            chosen = [number for number in chosen if getattr(images[number], axis) == wanted]
        return chosen

    def channel_of(self, image: StoredImage, name: object) -> int | None:
        """Find the number of the channel that is chosen in an image; None for all of them.

        Raises
        ------
        InputError
            If there is no such channel, or several have the name; `name` is that of the file.
        """
        if self.channel is None:
            return None
        names = image.channel_names or (("red", "green", "blue") if image.color else ())
        text = str(self.channel).strip()
        if text.isdecimal() and int(text) < image.channels:
            return int(text)
        for equal in (str, str.casefold):
            fitting = [number for number, one in enumerate(names) if equal(one) == equal(text)]
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                raise InputError(
                    f"{name}: {len(fitting)} channels are called {text}; give the number of one: "
                    f"{_listed(image, names)}."
                )
        raise InputError(f"{name} has no channel {text}; those it has, counted from 0: {_listed(image, names)}.")


EVERYTHING = Selection()
"""All images with all their channels."""


def _listed(image: StoredImage, names: Sequence[str]) -> str:
    return ", ".join(
        f"{number} ({names[number]})" if number < len(names) else str(number) for number in range(image.channels)
    )
