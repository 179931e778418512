"""The channels of a multichannel image (stains, detectors, contrast phases) as the networks see them."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autosam.config import ImagesConfig
from autosam.errors import InputError
from autosam.images.normalize import normalize

Combine = Literal["input", "avg", "max"]


def normalize_channels(
    image: NDArray[Any] | Sequence[NDArray[Any]], settings: ImagesConfig
) -> list[NDArray[np.float32]]:
    """Normalize an image, or every channel of a multichannel image by itself.

    Parameters
    ----------
    image : ndarray, or sequence of ndarray
        One image, (H, W) or (H, W, 3); or channels, each (H, W), of one shape and any numeric types.
    settings : ImagesConfig
        See `normalize`. ``combine=input`` makes two or three channels the red, green and blue of one image; of
        two, blue is zero. ``avg`` and ``max`` keep every channel as a gray image, for the networks to answer one
        by one. One image or channel is the same under all three.

    Returns
    -------
    list of ndarray of float32, shape (H, W, 3)
        0 to 1: one image, or one for each channel in their order. With ``avg`` and ``max`` constant channels are
        left out, since they show nothing; one is left where all are constant.

    Raises
    ------
    InputError
        If channels are missing, too many, differ in shape or have colors, or `normalize` refuses one.

    Examples
    --------
    >>> first, second = np.array([[0, 4]]), np.array([[9, 0]])
    >>> normalize_channels([first, second], ImagesConfig(low=0, high=100))[0][0].tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    >>> one_by_one = ImagesConfig(low=0, high=100, combine="max")
    >>> [plane[0, :, 0].tolist() for plane in normalize_channels([first, second], one_by_one)]
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if isinstance(image, np.ndarray):
        return [normalize(image, settings)]
    _check(image, settings.combine)
    planes = []
    for number, channel in enumerate(image):
        try:
            planes.append(normalize(channel, settings))
        except InputError as error:
            raise InputError(f"channel {number}: {error}") from error
    if len(planes) == 1:
        return planes
    if settings.combine == "input":
        composite = np.zeros(planes[0].shape, dtype=np.float32)
        for number, plane in enumerate(planes):
            composite[..., number] = plane[..., 0]
        return [composite]
    return [plane for plane in planes if plane[..., 0].any()] or planes[:1]


def mean_picture(planes: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Average normalized images, all (H, W, 3); one alone comes back as it is."""
    if len(planes) == 1:
        return planes[0]
    total = np.zeros(planes[0].shape[:2], dtype=np.float64)
    for plane in planes:
        total += plane[..., 0]
    mean = (total / len(planes)).astype(np.float32)
    return np.broadcast_to(mean[:, :, None], (*mean.shape, 3))


def _check(channels: Sequence[NDArray[Any]], combine: Combine) -> None:
    if not len(channels):
        raise InputError("the image has no channel; wanted at least one of shape (H, W).")
    shapes = [np.shape(channel) for channel in channels]
    for number, shape in enumerate(shapes):
        if len(shape) != 2:
            raise InputError(
                f"channel {number} has shape {shape}; wanted (H, W): give every channel as a gray image."
            )
    if len(set(shapes)) > 1:
        raise InputError(
            f"the channels have the shapes {', '.join(map(str, shapes))}; wanted one: channels must be aligned, "
            "so crop or resample them to one grid."
        )
    if combine == "input" and len(channels) > 3:
        raise InputError(
            f"{len(channels)} channels came, and images.combine=input has room for 3 (red, green, blue); choose "
            "one with --channel N, or combine the answers with --set images.combine=max or avg."
        )
