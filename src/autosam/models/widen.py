"""A generator's weights in one with more channels in its decoder, which computes the same at first."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_BLOCKS = "unet.decoder.blocks."
_HEAD = "unet.segmentation_head."


def is_wider(widths: Sequence[int], than: Sequence[int]) -> bool:
    """Whether no stage of a decoder is narrower than the other's.

    Examples
    --------
    >>> is_wider((128, 48), (96, 48)), is_wider((128, 32), (96, 48)), is_wider((96,), (96, 48))
    (True, False, False)
    """
    return len(widths) == len(than) and all(mine >= theirs for mine, theirs in zip(widths, than, strict=True))


def widen_decoder(
    state: Mapping[str, Tensor], fresh: Mapping[str, Tensor], widths: Sequence[int]
) -> dict[str, Tensor]:
    """Put a UNet's weights into a wider decoder.

    What the narrower network computes, the wider one computes in its first channels, which do not look at the new
    ones: their weights for these are 0, and learn. The new channels keep their random weights, so that no two are
    alike (as Net2WiderNet, which copies channels, needs noise for; Chen, Goodfellow and Shlens 2016, "Net2Net:
    accelerating learning via knowledge transfer").

    Parameters
    ----------
    state : mapping of str to Tensor
        The narrower `Generator`'s.
    fresh : mapping of str to Tensor
        The wider one's, with random weights; the head may have other maps.
    widths : sequence of int
        Channels of the narrower decoder's stages, deepest first.

    Returns
    -------
    dict of str to Tensor
        Fits the wider generator, but for the head's rows, which are those of ``state``.
    """
    return {name: _placed(name, tensor, fresh[name], widths) for name, tensor in state.items()}


def _placed(name: str, old: Tensor, fresh: Tensor, widths: Sequence[int]) -> Tensor:
    if not old.ndim:
        return old
    rows = len(old) if name.startswith(_HEAD) else len(fresh)
    if old.shape == (rows, *fresh.shape[1:]):
        return old
    placed = torch.zeros(rows, *fresh.shape[1:], dtype=fresh.dtype)
    placed[len(old) :] = fresh[len(old) : rows]
    if old.ndim == 1:
        placed[: len(old)] = old
        return placed
    # The new inputs lie between those of the stage before and those of the encoder's skip connection, if any.
    before = old.shape[1]
    if name.startswith(_BLOCKS):
        stage, layer = name[len(_BLOCKS) :].split(".")[:2]
        if layer == "conv1" and stage != "0":
            before = widths[int(stage) - 1]
    more = fresh.shape[1] - old.shape[1]
    placed[: len(old), :before] = old[:, :before]
    placed[: len(old), before + more :] = old[:, before:]
    return placed
