"""The generator's maps of a whole image: tiles of one size, several of them in one batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autosam.config import Flips
from autosam.errors import AutosamError, ConfigError
from autosam.images import Window, blend, read_window, tile_windows
from autosam.images.scaled_image import ScaledImage
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.precision import Precision, autocast
from autosam.models.variants import parameter_device

GROWN = 640
"""Longest side that a tile grows to, as larger ones take more memory; one can be longer from the beginning."""

BATCH = 2**22
"""Most pixels of the tiles in one batch; a single tile may have more."""

BATCH_CPU = 2**18
"""The same on a CPU, whose caches do not hold more."""

Orientation = tuple[Literal[1, -1], Literal[1, -1]]
"""Steps along rows and columns; -1 mirrors."""

ORIENTATIONS: dict[Flips, tuple[Orientation, ...]] = {
    False: ((1, 1),),
    "rotated": ((1, 1), (-1, -1)),
    True: ((1, 1), (-1, 1), (1, -1), (-1, -1)),
}
"""What maps are averaged over."""

Color = tuple[float, ...]
"""Of all pixels of a tile."""


def predict_maps(
    generator: Generator | SamGenerator,
    image: NDArray[np.float32] | ScaledImage,
    *,
    tile_size: int,
    overlap: float,
    orientations: Sequence[Orientation] = ORIENTATIONS[False],
    reduced: bool = False,
    precision: Precision,
) -> dict[str, NDArray[np.float32]]:
    """Predict probability maps; neighboring tiles are blended where they overlap.

    An image that is smaller than a tile is mirrored to fill it, since novelty is measured on whole tiles. A tile
    of one color gets the answer to the first such tile of that color, which is the same.

    Parameters
    ----------
    generator : Generator or SamGenerator
        In evaluation mode.
    image : ndarray of float32, or ScaledImage, shape (H, W, 3)
        Normalized over the whole image, 0 to 1.
    tile_size : int
        Side of a tile in pixels, see `generator_windows`; rounded up to a multiple of the generator's stride. A
        generator that takes only one size (its ``tile_size``) gets that.
    overlap : float
        Fraction of the side that neighbors share at least.
    orientations : sequence of Orientation
        Average the maps of each tile in these, at least one: test-time augmentation.
    reduced : bool
        The image is shrunk by ``generator.downsample`` already, and so are its maps. ``tile_size`` is still given
        in unshrunk pixels.
    precision : {"auto", "float32", "bfloat16"}

    Returns
    -------
    dict of str to ndarray of float32, shape (H, W)
        One map per channel of the generator, 0 to 1.

    Raises
    ------
    ConfigError
        If a generator of affinities is to see mirrored tiles: its maps have a direction.
    AutosamError
        If the GPU's memory does not hold one tile.
    """
    if any(turned != (1, 1) for turned in orientations) and "affinity_row" in generator.channels:
        raise ConfigError("decode.flips averages turned maps, and affinities have a direction; set it to false")
    shape = (image.shape[0], image.shape[1])
    windows = generator_windows(generator, shape, tile_size=tile_size, overlap=overlap, reduced=reduced)
    network = partial(generator, reduced=True) if generator.downsample > 1 and reduced else generator
    ask = partial(
        _ask,
        network,
        device=parameter_device(generator),
        precision=precision,
        orientations=orientations,
    )
    return dict(zip(generator.channels, blend(_answers(ask, image, windows), windows, shape), strict=True))


def generator_windows(
    generator: Generator | SamGenerator,
    shape: tuple[int, int],
    *,
    tile_size: int,
    overlap: float,
    reduced: bool = False,
) -> list[Window]:
    """Give the windows, all of one size, in which `predict_maps` shows an image of shape (H, W).

    They are up to half as long again as ``tile_size``, and up to ``GROWN``, where less of the image is seen twice
    then. Smaller ones would make a small image look unlike the training images.
    """
    # A generator with SAM's encoder never sees anything smaller.
    smaller = generator.downsample if reduced else 1
    if generator.tile_size is not None:
        size = generator.tile_size
        return tile_windows(shape, size=size, overlap=int(overlap * size))
    step = generator.stride // smaller
    size = -(-tile_size // generator.stride) * step
    largest = max(size, min(size + size // 2, GROWN))
    return tile_windows(shape, size=size, overlap=int(overlap * size), largest=largest, multiple=step)


def _answers(
    ask: Callable[[Iterable[NDArray[np.float32]]], Iterator[NDArray[np.float32]]],
    image: NDArray[np.float32] | ScaledImage,
    windows: Sequence[Window],
) -> Iterator[NDArray[np.float32]]:
    """Give the maps of each window, (C, height, width), in order; the network sees each plain color once."""
    colors = [_color(image[window.overlaps(image.shape)]) for window in windows]
    first: dict[Color, int] = {}
    for at, color in enumerate(colors):
        if color is not None:
            first.setdefault(color, at)
    asked = (color is None or first[color] == at for at, color in enumerate(colors))
    answers = ask(read_window(image, window) for window, needed in zip(windows, asked, strict=True) if needed)
    plain: dict[Color, NDArray[np.float32]] = {}
    for at, color in enumerate(colors):
        if color is None:
            yield next(answers)
            continue
        if first[color] == at:
            plain[color] = next(answers)
        yield plain[color]


def _color(pixels: NDArray[np.float32]) -> Color | None:
    """Give the color of pixels, (h, w, 3), that all have the same one."""
    color = pixels[0, 0]
    planes = pixels[..., :1] if pixels.strides[2] == 0 else pixels
    # Most tiles show something in their first row.
    if (planes[0] != color[: planes.shape[2]]).any() or (planes != color[: planes.shape[2]]).any():
        return None
    return tuple(color.tolist())


def _ask(
    network: Callable[[Tensor], Tensor],
    tiles: Iterable[NDArray[np.float32]],
    *,
    device: torch.device,
    precision: Precision,
    orientations: Sequence[Orientation],
) -> Iterator[NDArray[np.float32]]:
    """Give the network's probabilities for tiles of one shape, averaged over orientations, in batches."""
    turned = (tile[::row, ::col] for tile in tiles for row, col in orientations)
    waiting = [next(turned)]
    rows, cols = waiting[0].shape[:2]
    size = max(1, (BATCH_CPU if device.type == "cpu" else BATCH) // (rows * cols))
    answers: list[NDArray[np.float32]] = []
    while waiting:
        # No more tiles than the batch are cut out at once.
        waiting.extend(islice(turned, max(0, size - len(waiting))))
        batch = waiting[:size]
        try:
            answers.extend(_look(network, batch, device, precision))
        except torch.cuda.OutOfMemoryError as error:
            if len(batch) == 1:
                raise AutosamError(
                    f"the GPU's memory does not hold the generator's maps of a tile of {rows} × {cols} pixels; "
                    "set tiles.size to less, or use --device cpu"
                ) from error
            size = len(batch) // 2
            continue
        del waiting[: len(batch)]
        waiting = waiting or list(islice(turned, 1))
        while len(answers) >= len(orientations):
            one = [answer[:, ::row, ::col] for answer, (row, col) in zip(answers, orientations, strict=False)]
            yield one[0] if len(one) == 1 else np.mean(one, axis=0)
            del answers[: len(orientations)]


@torch.no_grad()
def _look(
    network: Callable[[Tensor], Tensor],
    tiles: Sequence[NDArray[np.float32]],
    device: torch.device,
    precision: Precision,
) -> NDArray[np.float32]:
    """Give the probabilities of one batch, (B, C, h, w)."""
    pixels = torch.from_numpy(np.stack(tiles).transpose(0, 3, 1, 2))
    with autocast(device, precision):
        logits = network(pixels.to(device, memory_format=torch.channels_last))
    probabilities: NDArray[np.float32] = logits.float().sigmoid().cpu().numpy()
    return probabilities
