"""The generator's maps of a whole image, tile by tile."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autosam.errors import AutosamError, ConfigError
from autosam.images import blend, read_window, tile_windows
from autosam.models.generator.sam_unet import SamGenerator
from autosam.models.generator.unet import Generator
from autosam.models.precision import Precision, autocast
from autosam.models.variants import parameter_device


@torch.no_grad()
def predict_maps(
    generator: Generator | SamGenerator,
    image: NDArray[np.float32],
    *,
    tile_size: int,
    overlap: float,
    flips: bool = False,
    reduced: bool = False,
    precision: Precision,
) -> dict[str, NDArray[np.float32]]:
    """Predict probability maps; neighboring tiles are blended where they overlap.

    Parameters
    ----------
    generator : Generator or SamGenerator
        In evaluation mode.
    image : ndarray of float32, shape (H, W, 3)
        Normalized over the whole image, 0 to 1.
    tile_size : int
        Side of a tile in pixels; rounded up to a multiple of the generator's stride. A generator that takes only
        one size (its ``tile_size``) gets that.
    overlap : float
        Fraction of the side that neighbors share.
    flips : bool
        Average the maps of each tile and its three mirror images: test-time augmentation, for four times the time.
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
    if flips and "affinity_row" in generator.channels:
        raise ConfigError(
            "decode.flips=true averages mirrored maps, and affinities have a direction; set it to false"
        )
    device = parameter_device(generator)
    mirrored: tuple[tuple[int, ...], ...] = ((), (-2,), (-1,), (-2, -1)) if flips else ((),)
    size = generator.tile_size or -(-tile_size // generator.stride) * generator.stride
    network: Callable[[Tensor], Tensor] = generator
    # A generator with SAM's encoder never sees anything smaller.
    if reduced and generator.downsample > 1:
        size //= generator.downsample
        network = partial(generator, reduced=True)
    shape = (image.shape[0], image.shape[1])
    windows = tile_windows(shape, size=size, overlap=int(overlap * size))

    def probabilities() -> Iterator[NDArray[np.float32]]:
        for window in windows:
            pixels = torch.from_numpy(np.ascontiguousarray(read_window(image, window).transpose(2, 0, 1)))[None]
            pixels = pixels.to(device, memory_format=torch.channels_last)
            try:
                with autocast(device, precision):
                    answers = [
                        _mirror(network(_mirror(pixels, axes)).float().sigmoid(), axes) for axes in mirrored
                    ]
            except torch.cuda.OutOfMemoryError as error:
                raise AutosamError(
                    f"the GPU's memory does not hold the generator's maps of a tile of {size} × {size} pixels; "
                    "set tiles.size to less, or use --device cpu"
                ) from error
            yield torch.cat(answers).mean(dim=0).cpu().numpy()

    return dict(zip(generator.channels, blend(probabilities(), windows, shape), strict=True))


def _mirror(images: Tensor, axes: tuple[int, ...]) -> Tensor:
    return images.flip(axes) if axes else images
