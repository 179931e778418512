"""A UNet's decoder with more channels, started from one with fewer, so that it gives the same maps at first."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

_CONVOLUTION = re.compile(r"unet\.decoder\.blocks\.(?P<block>\d+)\.conv(?P<place>[12])\.0\.weight")
_HEAD = "unet.segmentation_head.0.weight"


def widen_decoder(
    theirs: Mapping[str, Tensor], own: Mapping[str, Tensor], widths: Sequence[int]
) -> dict[str, Tensor]:
    """Take over a generator whose decoder has fewer channels.

    Channels that are new keep the weights that they were initialised with; what would lead from them to the
    earlier ones, and to the maps, starts at 0, so that nothing changes before the first step (in the spirit of
    Net2Net [1]_; new channels are no copies, and need no noise to become different).

    Parameters
    ----------
    theirs : mapping of str to Tensor
        State of the narrow `Generator`, with the same maps and the same encoder.
    own : mapping of str to Tensor
        Initial state of the wide one.
    widths : sequence of int
        Channels of the narrow decoder's stages, deepest first; none is above that of the wide one.

    Returns
    -------
    dict of str to Tensor
        A state for the wide one.

    References
    ----------
    .. [1] Chen T, Goodfellow I, Shlens J (2016). Net2Net: accelerating learning via knowledge transfer. ICLR.
    """
    start = dict(theirs)
    for name, narrow in theirs.items():
        if narrow.shape == own[name].shape:
            continue
        wide = own[name].clone()
        kept = narrow.shape[0]
        if narrow.ndim == 1:
            wide[:kept] = narrow
        else:
            before = _before(name, widths, narrow.shape[1])
            beside = narrow.shape[1] - before
            # Inputs are the stage before, and then what comes from the encoder.
            wide[:kept] = 0
            wide[:kept, :before] = narrow[:, :before]
            if beside:
                wide[:kept, -beside:] = narrow[:, before:]
        start[name] = wide
    return start


def _before(name: str, widths: Sequence[int], inputs: int) -> int:
    """Say how many of a convolution's inputs come from the decoder itself: the others are the encoder's."""
    found = _CONVOLUTION.fullmatch(name)
    if found is None:
        assert name == _HEAD, name
        return inputs
    block, place = int(found["block"]), int(found["place"])
    if place == 2:
        return inputs
    # All that the first stage sees is the encoder's, whose widths are those of before.
    return widths[block - 1] if block else 0
