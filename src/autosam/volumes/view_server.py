"""Looking at a volume with its labels in Neuroglancer, in a browser on this machine."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autosam.errors import ConfigError
from autosam.images.image_source import split_dataset
from autosam.images.label_names import without_suffix
from autosam.images.units import VoxelSize
from autosam.volumes.file_server import HOST, FileServer, port_error
from autosam.volumes.neuroglancer_state import ImageLayer, LabelLayer, array_source, make_state
from autosam.volumes.open_volume import open_label_volume, open_volume
from autosam.volumes.view_layers import LazyArray, ServedPyramid, find_pyramid, usual_limits
from autosam.volumes.volume_source import VolumeSource

if TYPE_CHECKING:
    import neuroglancer

_MESHED = 1 << 24
"""Voxels of the level from which surfaces are made, in memory."""
_SURFACES = 500
"""Instances whose surfaces are shown at once."""


@dataclass(frozen=True)
class ServedView:
    """A page that is being served.

    Attributes
    ----------
    url : str
        Of the page.
    state : dict
        Of the viewer. Sources that begin with ``python://`` are those of this page alone.
    """

    url: str
    state: dict[str, Any]


@contextmanager
def serve_view(labels: str, image: str | VolumeSource | None = None, *, port: int = 0) -> Iterator[ServedView]:
    """Serve labels, and the volume below them, until the block ends.

    OME-Zarr on this disk is read by the browser, chunk by chunk and as coarse as it is shown. Everything else is
    read here. Surfaces are made of the finest level of at most 16 million voxels.

    Parameters
    ----------
    labels : str
        What `autosam volume` has written, or other labels.
    image : str or VolumeSource, optional
        The volume; see `open_volume`. A part of one is shown where labels of a part lie.
    port : int
        Of the page; files are served at the next one. 0 takes free ones.

    Raises
    ------
    ConfigError
        If the package neuroglancer is missing, or a port is in use.
    InputError
        If the labels or the volume cannot be read.
    """
    neuroglancer = require_viewer()
    pyramid = find_pyramid(labels)
    shown = None if pyramid is not None else open_label_volume(labels)
    known = pyramid or shown
    assert known is not None
    below = open_volume(image) if isinstance(image, str) else image
    own = find_pyramid(image) if isinstance(image, str) else None
    # A volume of another or unknown voxel size would lie elsewhere.
    served = own if own is not None and own.voxel_size == known.voxel_size else None
    folders = {name: found.folder for name, found in (("labels", pyramid), ("image", served)) if found is not None}
    with ExitStack() as stack:
        files = stack.enter_context(FileServer(folders, port=port and port + 1))
        viewer = stack.enter_context(_viewer(neuroglancer, port))
        add = _Adder(viewer, known.voxel_size)
        if pyramid is not None:
            layer = _served_labels(pyramid, f"zarr://{files.url('labels')}", add)
            shape, origin = pyramid.shapes[0], pyramid.origin
        else:
            assert shown is not None
            layer = LabelLayer(add.volume(LazyArray(shown), kind="segmentation"))
            shape, origin = shown.shape, (0, 0, 0)
        ground = None
        if below is not None:
            # Labels in files of other formats begin at 0.
            offset = below.origin if below.origin == origin else (0, 0, 0)
            limits = None if below.color else usual_limits(below)
            address = f"zarr://{files.url('image')}" if served else add.volume(LazyArray(below), offset=offset)
            ground = ImageLayer(address, below.color, limits)
        state = make_state(layer, ground, shape=shape, origin=origin, voxel_size=known.voxel_size)
        viewer.set_state(state)
        yield ServedView(viewer.get_viewer_url(), state)


def require_viewer() -> Any:
    """Import the package of the viewer, or say how to get it.

    Raises
    ------
    ConfigError
        If it is not there.
    """
    try:
        import neuroglancer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"looking at volumes needs the package {error.name}; pip install 'autosam[view]'"
        ) from None
    return neuroglancer


@contextmanager
def _viewer(package: Any, port: int) -> "Iterator[neuroglancer.Viewer]":
    try:
        # First by itself: the server of the package leaves a socket open where it fails.
        with socket.create_server((HOST, port)):
            pass
        package.set_server_bind_address(HOST, port)
        viewer = package.Viewer()
    except (OSError, OverflowError) as error:
        raise port_error(port, error) from error
    try:
        yield viewer
    finally:
        package.stop()


@dataclass(frozen=True)
class _Adder:
    """Hands arrays to a viewer, on the grid of the labels."""

    viewer: "neuroglancer.Viewer"
    voxel_size: VoxelSize | None

    def volume(
        self,
        array: LazyArray | NDArray[Any],
        *,
        kind: str = "image",
        factors: tuple[float, ...] = (1.0, 1.0, 1.0),
        offset: tuple[int, ...] = (0, 0, 0),
    ) -> dict[str, Any]:
        """Give the source of an array, of which one voxel stands for so many of the labels."""
        import neuroglancer

        color = len(array.shape) > 3
        steps = self.voxel_size or (1.0, 1.0, 1.0)
        unit = "nm" if self.voxel_size else ""
        space = neuroglancer.CoordinateSpace(
            names=["z", "y", "x", *(["c^"] if color else [])],
            units=[unit, unit, unit, *([""] if color else [])],
            scales=[*(s * f for s, f in zip(steps, factors, strict=True)), *([1] if color else [])],
        )
        volume = neuroglancer.LocalVolume(
            array, dimensions=space, volume_type=kind, voxel_offset=[*offset, *([0] if color else [])]
        )
        url = str(self.viewer.volume_manager.register_volume(volume))
        return array_source(url, voxel_size=self.voxel_size, factors=factors, color=color)


def _served_labels(pyramid: ServedPyramid, address: str, add: _Adder) -> LabelLayer:
    """Show labels from their store, with surfaces of a coarse level where there are several slices."""
    found = pyramid.coarse(_MESHED) if pyramid.shapes[0][0] > 1 else None
    if found is None:
        return LabelLayer(address)
    array, factors = found
    # With a margin, so that surfaces are closed where the volume ends.
    offset = tuple(int(begin // factor) - 1 for begin, factor in zip(pyramid.origin, factors, strict=True))
    meshes = add.volume(np.pad(array, 1), kind="segmentation", factors=factors, offset=offset)
    ids, sizes = np.unique(array[array != 0], return_counts=True)
    largest = np.sort(ids[np.argsort(-sizes, kind="stable")][:_SURFACES])
    return LabelLayer(address, meshes, [int(label) for label in largest])


def recorded_source(labels: str) -> str | None:
    """Give the volume that the run record beside the labels names, if it is still there."""
    try:
        source = json.loads(_beside(labels, "run").read_text(encoding="utf-8")).get("source")
    except (OSError, ValueError, AttributeError):
        return None
    return source if isinstance(source, str) and split_dataset(source)[0].exists() else None


def state_file(labels: str) -> Path:
    """Name the file of a viewer's state, beside the labels.

    Examples
    --------
    >>> state_file("runs/mito.ome.zarr:/labels").as_posix()
    'runs/mito_neuroglancer.json'
    """
    return _beside(labels, "neuroglancer")


def _beside(labels: str, ending: str) -> Path:
    path = split_dataset(labels)[0]
    return path.with_name(f"{without_suffix(path.name)}_{ending}.json")
