"""What can go wrong with one image of a batch, while the others can be done."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from autosam.errors import AutosamError, InputError, OutputError
from autosam.images.multichannel import MultichannelImage
from autosam.pipeline.outputs import AnySource

_OF_ONE_FILE = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY)
"""What a system says of a name or a place that cannot be written, while others can."""


_OF_DEVICE = ("CUDA error", "cuDNN error", "CUBLAS_STATUS", "CUDNN_STATUS", "HIP error")
"""What torch says when a GPU has stopped working; every later call fails, too."""


class UnfinishedError(InputError):
    """An image could not be done today, and nothing is wrong with it as far as is known."""


class MemoryShortError(UnfinishedError):
    """An image needs more memory than there is now."""


class DeviceLostError(AutosamError):
    """A GPU has stopped working in the middle of the work."""


class WorkersLostError(AutosamError):
    """The processes that were to do the work have ended before they began it."""


@contextmanager
def of_one_image() -> Iterator[None]:
    """Turn what concerns one image alone into an `InputError`."""
    try:
        yield
    except OutputError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _OF_ONE_FILE:
            raise InputError(str(error)) from error
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        reason = " ".join(str(error).split())[:200] or "no more is known"
        raise MemoryShortError(
            f"more memory is needed than there is ({reason}); cut the image, or use another device"
        ) from error


@contextmanager
def of_device() -> Iterator[None]:
    """Turn the loss of a GPU into a `DeviceLostError`: it is not the fault of the image that was in work."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        # torch names the class only since 2.8, and cuDNN's errors have none of their own.
        if type(error).__name__ != "AcceleratorError" and not any(words in str(error) for words in _OF_DEVICE):
            raise
        reason = str(error).strip().partition("\n")[0][:200]
        raise DeviceLostError(
            f"the GPU has stopped working ({reason}); what is done is kept: the same command goes on from there, "
            "when the GPU works again or with --device cpu"
        ) from error


def opens(source: AnySource) -> bool:
    """Tell whether the files of an image are there and may be read."""
    try:
        for one in source.sources:
            if not one.path.is_dir():
                with one.path.open("rb") as stream:
                    stream.read(1)
    except OSError:
        return False
    return True


def naming(source: AnySource, message: str) -> str:
    """Let a message name the image, with its page, once."""
    if isinstance(source, MultichannelImage):
        return message if any(str(part) in message for part in source.sources) else f"{source}: {message}"
    if str(source) in message:
        return message
    if str(source.path) in message:
        return message.replace(str(source.path), str(source), 1)
    return f"{source}: {message}"
