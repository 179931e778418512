"""ND2 of Nikon's NIS-Elements, by nd2: positions, times, z and channels."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nd2
import numpy as np
from numpy.typing import NDArray

from autosam.images.formats import UnsupportedError, reading
from autosam.images.readers.series import Level, Series, SeriesReader
from autosam.images.units import Spacing, pixel_side


class Nd2Reader(SeriesReader):
    """Reads positions of the stage, each a series. A frame holds all channels of a plane."""

    @contextmanager
    def open(self, path: Path, dataset: str | None) -> Iterator[Sequence[Series]]:
        """Read the metadata."""
        with reading(path):
            # It warns of metadata that autosam does not use.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                file = nd2.ND2File(path)
            with file:
                yield _series(file)


def _series(file: nd2.ND2File) -> list[Series]:
    sizes = dict(file.sizes)
    loops = [axis for axis in sizes if axis not in "CYXS"]
    others = [axis for axis in loops if axis not in "PTZ"]
    if others:
        raise UnsupportedError(f"it has the axes {', '.join(others)}; wanted positions, times, z and channels")
    color = file.is_rgb
    channels = sizes.get("C", 1)
    if color and channels > 1:
        raise UnsupportedError(f"its {channels} channels have colors; wanted gray channels, or one color picture")
    level = Level((sizes["Y"], sizes["X"]), _pixel_size(file), _spacing(file))
    names = tuple(channel.channel.name for channel in _channels(file))
    steps = {axis: int(np.prod([sizes[inner] for inner in loops[i + 1 :]])) for i, axis in enumerate(loops)}
    return [
        Series(
            (level,),
            partial(_plane, file, steps, position),
            times=sizes.get("T", 1),
            depth=sizes.get("Z", 1),
            channels=channels,
            color=color,
            channel_names=names if len(names) == channels and all(names) and not color else (),
        )
        for position in range(sizes.get("P", 1))
    ]


def _plane(
    file: nd2.ND2File, steps: dict[str, int], position: int, level: int, time: int, z: int, channel: int
) -> NDArray[Any]:
    """Read a plane of a frame; frames are counted along the loops, the last one first."""
    frame = sum(step * {"P": position, "T": time, "Z": z}[axis] for axis, step in steps.items())
    if frame >= file.attributes.sequenceCount:
        # An acquisition that was stopped; nd2 would give zeros.
        raise ValueError(f"frame {frame} is missing: the acquisition was stopped before")
    pixels = np.asarray(file.read_frame(frame))
    if file.is_rgb:
        return pixels[..., :3]
    return pixels[channel] if pixels.ndim == 3 else pixels


def _channels(file: nd2.ND2File) -> Sequence[Any]:
    try:
        return getattr(file.metadata, "channels", None) or ()
    except UnboundLocalError:
        # nd2 0.12 stumbles over channels without a dye, such as transmitted light of some microscopes.
        return ()


def _pixel_size(file: nd2.ND2File) -> float | None:
    """Read the calibration, in µm; without one, nd2 says 1."""
    _, row, col = _spacing(file)
    return None if row is None or col is None else pixel_side((row, col))


def _spacing(file: nd2.ND2File) -> Spacing:
    channels = _channels(file)
    calibrated = channels[0].volume.axesCalibrated if channels else (False, False, False)
    size = file.voxel_size()
    steps = ((size.z, calibrated[2]), (size.y, calibrated[1]), (size.x, calibrated[0]))
    z, row, col = (step * 1e3 if known and step > 0 else None for step, known in steps)
    return z, row, col
