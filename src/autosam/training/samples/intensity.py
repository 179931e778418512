"""Random intensities of a training tile: gray levels, color, sharpness and noise."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autosam.config.augment_section import AugmentConfig
from autosam.training.samples.appearance import even_contrast, mix_amplitudes, shade, tone_curve
from autosam.training.samples.noise import curtains, grain, scan_lines, shot_noise, specks
from autosam.training.samples.planes import Plane, change_each, change_gray, one_channel
from autosam.training.samples.recording import coarsen, compress, defocus, sharpen

Image = NDArray[np.float32]

TONE_PIECES = 6
"""Straight pieces of a tone curve."""

BEST_JPEG = 95
"""Quality above which a JPEG shows nothing of its compression."""


def change_intensity(
    image: Image, augment: AugmentConfig, rng: np.random.Generator, *, other: Callable[[], Plane] | None = None
) -> Image:
    """Change how a tile looks, and how it was recorded.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W, C)
        0 to 1; C is 1 for gray, 3 for colors or gray.
    augment : AugmentConfig
        A range of 0 leaves what it is for as it is, and draws nothing more.
    rng : Generator
        Draws everything.
    other : callable, optional
        Draws another picture of shape (H, W), 0 to 1, whose amplitudes can be mixed in. By default none are.

    Returns
    -------
    ndarray of float32, shape (H, W, C)
        0 to 1; what was gray is gray, and has one channel.
    """
    image = _change_appearance(one_channel(image), augment, rng, other)
    return _change_recording(_change_basics(image, augment, rng), augment, rng)


def _drawn(rng: np.random.Generator, augment: AugmentConfig, strength: float) -> bool:
    """Tell whether a tile gets a change; nothing is drawn for one that is off."""
    return bool(strength and rng.random() < augment.share)


def _change_appearance(
    image: Image, augment: AugmentConfig, rng: np.random.Generator, other: Callable[[], Plane] | None
) -> Image:
    """Change the looks of the specimen."""
    # The complement of a stain is the color of none.
    if augment.invert and rng.random() < augment.invert and image.shape[-1] == 1:
        image = np.clip(1 - image, 0, 1)
    if other is not None and _drawn(rng, augment, augment.spectrum):
        share, cutoff = rng.uniform(0, augment.spectrum), np.exp(rng.uniform(np.log(0.01), np.log(0.5)))
        image = change_gray(image, partial(mix_amplitudes, other=other(), share=share, cutoff=float(cutoff)))
    if _drawn(rng, augment, augment.tone):
        slopes = np.exp(rng.uniform(-augment.tone, augment.tone, TONE_PIECES))
        image = change_gray(image, partial(tone_curve, slopes=slopes))
    if _drawn(rng, augment, augment.local_contrast):
        strength = rng.uniform(0, augment.local_contrast)
        sigma = len(image) * float(np.exp(rng.uniform(np.log(0.04), np.log(0.25))))
        image = change_gray(image, partial(even_contrast, strength=strength, sigma=sigma))
    return image


def _change_basics(image: Image, augment: AugmentConfig, rng: np.random.Generator) -> Image:
    """Change gamma, contrast, brightness, color, sharpness and white noise."""
    gamma = np.exp(rng.uniform(-augment.contrast, augment.contrast))
    gain = 1 + rng.uniform(-augment.contrast, augment.contrast)
    offset = rng.uniform(-augment.brightness, augment.brightness)
    sigma = rng.uniform(0, augment.blur) if rng.random() < 0.5 else 0.0
    amplitude = rng.uniform(0, augment.noise)
    changed = image**gamma if augment.contrast else image
    # Summed over three channels: the order of a sum shows in its last bits.
    mean = np.repeat(changed, 3 // changed.shape[-1], axis=-1).mean()
    changed = (changed - mean) * gain + mean + offset
    # Drawn only where it is asked for, and where there is color.
    if augment.color and image.shape[-1] == 3:
        changed = 1 - (1 - changed) * np.exp(rng.uniform(-augment.color, augment.color, size=3))
    if sigma > 0.2:
        changed = ndimage.gaussian_filter(changed, (sigma, sigma, 0))
    if amplitude > 0:
        # One value for all channels, so that no color comes in.
        changed = changed + amplitude * rng.standard_normal((*changed.shape[:2], 1), dtype=np.float32)
    return np.asarray(np.clip(changed, 0, 1), dtype=np.float32)


def _change_recording(image: Image, augment: AugmentConfig, rng: np.random.Generator) -> Image:
    """Change what the microscope and the file made of the specimen."""
    if _drawn(rng, augment, augment.shading):
        image = change_gray(image, partial(shade, strength=rng.uniform(0, augment.shading), rng=rng))
    if _drawn(rng, augment, augment.defocus):
        rows, cols = rng.uniform(0, augment.defocus, size=2)
        image = change_each(image, partial(defocus, radii=(float(rows), float(cols))))
    if _drawn(rng, augment, augment.shot_noise):
        image = change_gray(image, partial(shot_noise, deviation=rng.uniform(0, augment.shot_noise), rng=rng))
    if _drawn(rng, augment, augment.grain):
        sigma = float(np.exp(rng.uniform(np.log(0.6), np.log(3))))
        deviation = rng.uniform(0, augment.grain)
        image = change_gray(image, partial(grain, deviation=deviation, sigma=sigma, rng=rng))
    for strength, lines in ((augment.scan_lines, scan_lines), (augment.curtains, curtains)):
        if _drawn(rng, augment, strength):
            turned = image.swapaxes(0, 1) if rng.random() < 0.5 else image
            drawn = change_gray(turned, partial(lines, deviation=rng.uniform(0, strength), rng=rng))
            image = drawn.swapaxes(0, 1) if turned is not image else drawn
    if _drawn(rng, augment, augment.coarsen - 1):
        factor, smooth = rng.uniform(1, augment.coarsen), bool(rng.integers(2))
        image = change_each(image, partial(coarsen, factor=factor, smooth=smooth))
    if _drawn(rng, augment, augment.sharpen):
        amount, sigma = rng.uniform(0, augment.sharpen), rng.uniform(0.7, 2.5)
        image = change_each(image, partial(sharpen, amount=amount, sigma=sigma))
    if _drawn(rng, augment, augment.specks):
        image = change_gray(image, partial(specks, share=rng.uniform(0, augment.specks), rng=rng))
    if _drawn(rng, augment, augment.jpeg):
        image = compress(image, int(rng.integers(augment.jpeg, BEST_JPEG + 1)))
    return image
