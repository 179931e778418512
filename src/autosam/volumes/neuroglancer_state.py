"""What Neuroglancer is to show: the volume, and its instances over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autosam.images.units import VoxelSize

_COLOR_SHADER = """void main() {
  emitRGB(vec3(toNormalized(getDataValue(0)), toNormalized(getDataValue(1)), toNormalized(getDataValue(2))));
}"""
_GRAY_SHADER = "#uicontrol invlerp normalized\nvoid main() { emitGrayscale(normalized()); }"


@dataclass(frozen=True)
class ImageLayer:
    """The volume.

    Attributes
    ----------
    source : str or dict
        Address, as Neuroglancer knows it; see `array_source` for arrays.
    color : bool
        Red, green and blue.
    limits : tuple of float or None
        Intensities that are black and white; of a gray volume.
    """

    source: str | dict[str, Any]
    color: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class LabelLayer:
    """The instances.

    Attributes
    ----------
    source : str or dict
        Address, as Neuroglancer knows it; see `array_source` for arrays.
    meshes : dict or None
        The `array_source` of the same labels, from which surfaces are made.
    shown : sequence of int
        Ids whose surfaces are shown at once.
    """

    source: str | dict[str, Any]
    meshes: dict[str, Any] | None = None
    shown: Sequence[int] = ()


def array_source(
    url: str,
    *,
    voxel_size: VoxelSize | None,
    factors: Sequence[float] = (1.0, 1.0, 1.0),
    color: bool = False,
) -> dict[str, Any]:
    """Lay an array over what is read from OME-Zarr.

    Coordinates of OME-Zarr are those of the centers of voxels. Neuroglancer puts the first corner of an array
    there, so that it would lie half a voxel beside them.

    Parameters
    ----------
    factors : sequence of float
        How many voxels of ``voxel_size`` one of the array stands for, along z, y and x.
    color : bool
        The array has a fourth axis with red, green and blue.
    """
    dimensions = _dimensions(voxel_size, factors)
    shifts = [-0.5 / factor for factor in factors]
    if color:
        dimensions["c^"], shifts = [1, ""], [*shifts, 0.0]
    rank = len(shifts)
    matrix = [[*(float(row == col) for col in range(rank)), shifts[row]] for row in range(rank)]
    return {"url": url, "transform": {"outputDimensions": dimensions, "matrix": matrix}}


def _dimensions(voxel_size: VoxelSize | None, factors: Sequence[float] = (1.0, 1.0, 1.0)) -> dict[str, list[Any]]:
    if voxel_size is None:
        return {axis: [factor, ""] for axis, factor in zip("zyx", factors, strict=True)}
    return {axis: [nm * factor * 1e-9, "m"] for axis, nm, factor in zip("zyx", voxel_size, factors, strict=True)}


def make_state(
    labels: LabelLayer,
    image: ImageLayer | None,
    *,
    shape: tuple[int, int, int],
    origin: tuple[int, int, int] = (0, 0, 0),
    voxel_size: VoxelSize | None = None,
) -> dict[str, Any]:
    """Make the state of a viewer that shows the middle of the labels, in three planes and as surfaces.

    The layer of labels is a segmentation whatever the type of the ids is; Neuroglancer would take those of 8 and
    16 bits for an image.

    Parameters
    ----------
    shape, origin : tuple of int
        Size of the labels in voxels, and where they begin in the volume.
    voxel_size : tuple of float, optional
        In nm; unknown, voxels are cubes without a unit.
    """
    layers: list[Mapping[str, Any]] = []
    if image is not None:
        layer: dict[str, Any] = {"type": "image", "name": "image", "source": image.source}
        layer["shader"] = _COLOR_SHADER if image.color else _GRAY_SHADER
        if image.limits is not None and not image.color:
            layer["shaderControls"] = {"normalized": {"range": list(image.limits)}}
        layers.append(layer)
    sources: list[Any] = [labels.source]
    if labels.meshes is not None:
        only = {"enableDefaultSubsources": False, "subsources": {"meshes": True}}
        sources.append({**labels.meshes, **only})
    layers.append(
        {
            "type": "segmentation",
            "name": "labels",
            "source": sources if len(sources) > 1 else sources[0],
            "segments": [str(label) for label in labels.shown],
            "selectedAlpha": 0.35,
            "notSelectedAlpha": 0.35 if labels.shown else 0.0,
        }
    )
    steps = voxel_size or (1.0, 1.0, 1.0)
    # In voxels of x: both scales count in the first of the dimensions that are shown.
    widest = max(n * step / steps[2] for n, step in zip(shape, steps, strict=True))
    return {
        "dimensions": _dimensions(voxel_size),
        "displayDimensions": ["x", "y", "z"],
        "position": [begin + n // 2 for begin, n in zip(origin, shape, strict=True)],
        "crossSectionScale": max(shape[1:]) / 500,
        "projectionScale": widest * 1.3,
        # Seen a little from above and from the side.
        "projectionOrientation": [0.35, -0.3, -0.1, 0.88],
        "showSlices": labels.meshes is None,
        "layers": layers,
        "selectedLayer": {"layer": "labels", "visible": False},
        "layout": "4panel" if shape[0] > 1 else "xy",
    }
