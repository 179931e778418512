"""VNC (Gerhard et al. 2013): ssTEM of the fly's ventral nerve cord, 20 slices of 1024 × 1024."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.sources.release import Release, ReleaseReader, Request, volume_slice
from autosam.data.sources.release_files import by_number, child, read_pair
from autosam.data.sources.slice_folders import folder_slices
from autosam.errors import InputError
from autosam.images import read_labels

# Tissue labels: 0-128 membranes by direction, 159 glia and extracellular space, 191 mitochondria, 223 synapses,
# 255 the interior of neurites.
_INSIDE_NEURITE = 191


class Vnc(ReleaseReader):
    """`stack1/{raw,mitochondria,membranes,labels}` and `stack2/raw`, or `raw/`, `mitochondria/` and `tissue/`."""

    name = "vnc"
    layout = "stack1/{raw,mitochondria,labels} and stack2/raw, or raw/, mitochondria/ and tissue/"
    targets = ("mitochondria", "neurites")

    def _sniff(self, request: Request) -> bool:
        stack = _stack(request.path)
        return all(child(stack, name) for name in ("raw", "mitochondria")) and _tissue(stack) is not None

    def _open(self, request: Request) -> Release:
        stack = _stack(request.path)
        raw, target = child(stack, "raw"), request.target or "mitochondria"
        if raw is None:
            raise self._nothing(request.path)
        labels = child(stack, "mitochondria") if target == "mitochondria" else _tissue(stack)
        if labels is None:
            raise InputError(f"{stack} has no folder of labels for {target}; wanted {self.layout}.")
        read = _neurites if target == "neurites" else _mitochondria
        slices = folder_slices("stack1", raw, labels, read=read)
        unlabeled = child(request.path, "stack2")
        if unlabeled is not None and (unlabeled / "raw").is_dir():
            slices += [
                volume_slice("stack2", z, partial(read_pair, file, None), labeled=False)
                for z, file in by_number(unlabeled / "raw").items()
            ]
        return Release(
            self.name,
            slices,
            "semantic",
            license="CC BY-NC-SA 3.0",
            citation="Gerhard et al. 2013, figshare, doi:10.6084/m9.figshare.856713",
            voxel_size_nm=(50.0, 4.6, 4.6),
            made="semantic mask of mitochondria, drawn by hand"
            if target == "mitochondria"
            else "interiors of neurites with their mitochondria and synapses: tissue labels of at least 191",
            notes=("sections are 45 to 50 nm thick; 50 is written",),
        )


def _stack(path: Path) -> Path:
    inner = child(path, "stack1")
    return path if inner is None else inner


def _tissue(stack: Path) -> Path | None:
    return child(stack, "tissue", "labels")


def _mitochondria(path: Path) -> NDArray[Any]:
    return np.asarray(read_labels(path) != 0)


def _neurites(path: Path) -> NDArray[Any]:
    return np.asarray(read_labels(path) >= _INSIDE_NEURITE)
