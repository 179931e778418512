"""What of a file is taken as a volume."""

from dataclasses import dataclass

from autosam.errors import InputError
from autosam.images.readers import Selection, StoredImage

_AXES = frozenset("tzcyx")


@dataclass(frozen=True)
class VolumeChoice:
    """Which volume of a file is taken; by default the only one.

    Attributes
    ----------
    axes : str
        A letter of ``tzcyx`` for each axis of an array that does not name them; empty for its usual order.
    channel : int or str, optional
        Number from 0, or name.
    time, series : int, optional
        Numbers from 0.
    level : int
        Of a resolution pyramid, 0 for the finest.
    labels : bool
        The numbers are ids: they are taken as stored, without palettes.
    """

    axes: str = ""
    channel: int | str | None = None
    time: int | None = None
    series: int | None = None
    level: int = 0
    labels: bool = False

    def check(self) -> None:
        """Refuse axes that are none of a volume."""
        if self.axes and (
            not set(self.axes) <= _AXES or len(set(self.axes)) < len(self.axes) or not {"y", "x"} <= set(self.axes)
        ):
            raise InputError(
                f"--axes is {self.axes!r}; wanted each of t, z, c, y, x at most once, and y and x, such as yxz."
            )

    def time_of(self, times: int, name: object) -> int:
        """Give the number of the time that is taken.

        Raises
        ------
        InputError
            If there are several and none is chosen, or there is no such time.
        """
        if self.time is None and times > 1:
            raise InputError(
                f"{name} has {times} times; a volume is one of them: name it with --time 0 to {times - 1}, or, if "
                "they are slices, name the axes with --axes, such as zyx."
            )
        if not 0 <= (self.time or 0) < times:
            raise InputError(f"{name} has {times} time(s), counted from 0; time {self.time} was asked for.")
        return self.time or 0

    def channel_of(self, image: StoredImage, name: object) -> int | None:
        """Give the number of the channel that is taken; None for the only one, or for all colors.

        Raises
        ------
        InputError
            If there are several and none is chosen, or there is no such channel.
        """
        if self.channel is not None:
            return Selection(channel=self.channel).channel_of(image, name)
        if image.channels == 1 or image.color:
            return None
        names = f" ({', '.join(image.channel_names)})" if image.channel_names else ""
        raise InputError(
            f"{name} has {image.channels} channels{names}; a volume is one of them: name it with --channel 0 to "
            f"{image.channels - 1}, or, if they are slices, name the axes with --axes, such as zyx."
        )
