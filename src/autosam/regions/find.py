"""Probability maps → regions: one labeled region per object, the generator's own segmentation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.measure import label as label_equal
from skimage.segmentation import watershed

from autosam.errors import ConfigError, InputError
from autosam.regions.affinities import Affinities, affinity_maps, grow_along, join_tied, strongest, weakest
from autosam.regions.agglomerate import agglomerate
from autosam.regions.lay_out import lay_out
from autosam.regions.numbering import number_regions, renumbered, sizes_and_first_pixels

BACKGROUND_BORDER = 0.25
"""Without a foreground map, a region that holds this share of the image's border is background."""

_EIGHT = np.ones((3, 3), dtype=bool)
_FOUR = ndimage.generate_binary_structure(2, 1)


def find_regions(
    foreground: ArrayLike | None,
    boundary: ArrayLike | None = None,
    *,
    center: ArrayLike | None = None,
    affinities: tuple[ArrayLike, ArrayLike] | None = None,
    threshold: float,
    boundary_threshold: float,
    center_threshold: float,
    join: float | None = None,
    min_size: int,
    min_seed_size: int = 8,
) -> NDArray[np.int32]:
    """Split the generator's maps into one region per object.

    Foreground and boundary: the 4-connected components of (foreground and not boundary) are seeds, because a
    diagonal boundary one pixel wide parts 4-connected neighbors only. A watershed on the boundary map grows them
    over the foreground, so that an object gets its boundary pixels back. Foreground alone: its 8-connected
    components. Boundary alone: the components between boundaries, which objects and background share. A component
    with at least ``BACKGROUND_BORDER`` of the image's border pixels is background.

    With a center map, seeds must also lie above ``center_threshold`` in it: two objects stay apart where their
    boundary has a gap. Without a boundary map, 1 − center takes its place.

    With affinities, the larger of the boundary and 1 − a pixel's smallest affinity parts objects. Seeds grow over
    the foreground across the largest affinity first [1]_, so that objects that touch without a gap are cut between
    their pixels. A boundary also fills an object's narrow necks, so neighboring regions are joined if their mean
    affinity is high [2]_. Without a foreground map a pixel's largest affinity takes its place. Everything is
    4-connected then.

    With ``join``, gaps in boundaries do not run cells together: the image is divided by `agglomerate`, over the
    largest of boundary, 1 − foreground and 1 − a pixel's smallest affinity. A region is what hangs together of a
    cell's foreground, 4-connected. A center map is not asked.

    Parameters
    ----------
    foreground : array_like, shape (H, W), or None
        Probability, 0 to 1, that a pixel belongs to an object.
    boundary : array_like, shape (H, W), or None
        Probability, 0 to 1, that a pixel lies on an object's outline.
    center : array_like, shape (H, W), optional
        Probability, 0 to 1, that a pixel lies in the inner part of an object; needs a foreground map.
    affinities : two of array_like, shape (H, W), optional
        Probability, 0 to 1, that a pixel and the one above it, and a pixel and the one left of it, belong to one
        object. The first map's first row and the second's first column are not read.
    threshold : float
        A pixel is foreground above this probability.
    boundary_threshold : float
        A pixel is no boundary below this probability; two are tied where 1 − their affinity is below it.
    center_threshold : float
        A pixel can be a seed above this probability of being in a center.
    join : float, optional
        Fragments of cells are joined where the mean boundary of their contact is below this probability.
    min_size : int
        Smaller regions, in pixels, are dropped.
    min_seed_size : int
        Smaller seeds, in pixels, are dropped where their foreground component has a larger one. A component
        without any seed becomes one region.

    Returns
    -------
    ndarray of int32, shape (H, W)
        0 for background and 1..n, without gaps, in raster order of each region's first pixel.

    Raises
    ------
    InputError
        If all maps are missing, a center map came without a foreground map, or maps differ in shape, are not 2D or
        hold values that are no probabilities.
    ConfigError
        If a threshold lies outside 0 to 1.

    References
    ----------
    .. [1] Cousty et al. (2009), see :func:`grow_along`.
    .. [2] Lee et al. (2017), see :func:`join_tied`.

    Examples
    --------
    >>> foreground, boundary = [[0.9, 0.9, 0.9, 0.1, 0.8]], [[0.0, 0.7, 0.2, 0.0, 0.0]]
    >>> half = {"threshold": 0.5, "boundary_threshold": 0.5, "center_threshold": 0.5}
    >>> find_regions(foreground, boundary, min_size=1, min_seed_size=1, **half)
    array([[1, 1, 2, 0, 3]], dtype=int32)
    """
    thresholds = {
        "threshold": threshold,
        "boundary_threshold": boundary_threshold,
        "center_threshold": center_threshold,
        "join": join,
    }
    for name, value in thresholds.items():
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}, wanted a probability: give a number from 0 to 1")
    above, left = affinities or (None, None)
    maps = _check_maps(
        foreground=foreground, boundary=boundary, center=center, affinity_row=above, affinity_col=left
    )
    inner, edge, core = (maps.get(name) for name in ("foreground", "boundary", "center"))
    ties = affinity_maps(maps)
    if ties is not None:
        inner = strongest(ties) if inner is None else inner
        cut = 1 - weakest(ties)
        edge = cut if edge is None else np.maximum(edge, cut)
    if join is not None and (inner is not None or edge is not None):
        labels = _from_contacts(inner, edge, threshold, boundary_threshold, join)
        return number_regions(labels, min_size=min_size, out=labels)
    if core is not None:
        if inner is None:
            raise InputError("a center map came without a foreground map, over which its seeds grow: give both")
        edge = 1 - core if edge is None else edge
    if inner is not None and edge is not None:
        apart = edge < boundary_threshold
        if core is not None:
            apart &= core > center_threshold
        labels = _from_seeds(inner > threshold, apart, edge, ties, min_seed_size)
        del apart
        if ties is not None:
            labels = join_tied(ties, labels, 1 - boundary_threshold)
    elif inner is not None:
        labels, _ = ndimage.label(inner > threshold, structure=_EIGHT, output=np.int32)
    elif edge is not None:
        labels = _from_boundary(edge, boundary_threshold)
    else:
        raise InputError(
            "neither a foreground nor a boundary map came, nor affinities, wanted at least one: give one of them"
        )
    return number_regions(labels, min_size=min_size, out=labels)


def _check_maps(**maps: ArrayLike | None) -> dict[str, NDArray[np.floating]]:
    """Check that the maps that came are 2D, of one shape, and hold probabilities."""
    checked: dict[str, NDArray[np.floating]] = {}
    for name, values in maps.items():
        if values is None:
            continue
        array = np.asarray(values)
        if array.ndim != 2:
            raise InputError(f"the {name} map has shape {array.shape}, wanted (H, W): give the map of one image")
        # Blending tiles may leave a rounding error above 1; NaN fails both comparisons.
        if array.size and not (array.min() >= -1e-3 and array.max() <= 1 + 1e-3):
            raise InputError(
                f"the {name} map runs from {array.min():g} to {array.max():g}, wanted probabilities from 0 to 1: "
                "apply the sigmoid first"
            )
        checked[name] = array.astype(np.float32) if array.dtype == bool else array
    if len({array.shape for array in checked.values()}) > 1:
        listed = ", ".join(f"{name} is {array.shape}" for name, array in checked.items())
        raise InputError(f"the maps differ in shape ({listed}), wanted one shape: give maps of one image")
    return checked


def _from_seeds(
    mask: NDArray[np.bool_],
    apart: NDArray[np.bool_],
    boundary: NDArray[np.floating],
    affinities: Affinities | None,
    min_seed_size: int,
) -> NDArray[np.int32]:
    """Grow the seeds, which are the components of ``apart``, until they fill their foreground components."""
    structure = _EIGHT if affinities is None else _FOUR
    apart &= mask
    # One labeled image at a time: seeds are found again where they are needed.
    size, first = sizes_and_first_pixels(ndimage.label(apart, output=np.int32)[0])
    components = np.empty(mask.shape, dtype=np.int32)
    n_components, n_seeds = ndimage.label(mask, structure=structure, output=components), len(size) - 1
    if n_components == 0:
        return components

    # Each seed's component, and whether the seed stands: it is large, or the largest of its component.
    home = np.where(first >= 0, components.ravel()[first], 0)
    largest = np.zeros(n_seeds + 1, dtype=bool)
    by_size = np.lexsort((np.arange(1, n_seeds + 1), -size[1:], home[1:])) + 1
    largest[by_size[np.diff(home[by_size], prepend=0) != 0]] = True
    stands = largest | (size >= min_seed_size)
    stands[0] = False

    # Components with at most one seed are regions as they are; only the others need a watershed.
    n_standing = np.bincount(home[stands], minlength=n_components + 1)
    new_id = np.where(stands, n_components + np.arange(n_seeds + 1), 0).astype(np.int32)
    several = np.flatnonzero(n_standing > 1)
    found = ndimage.find_objects(components) if several.size else []
    boxes = [found[component - 1] for component in several]
    owns = [components[box] == component for component, box in zip(several, boxes, strict=True)]
    by_home = np.argsort(home, kind="stable")
    begins, ends = (np.searchsorted(home[by_home], several, side=side) for side in ("left", "right"))
    # Seeds are numbered by their first pixels, in a component as in the image.
    own_seeds = [
        np.concatenate([[0], new_id[by_home[begin:end]]]).astype(np.int32)[ndimage.label(apart[box] & own)[0]]
        for box, own, begin, end in zip(boxes, owns, begins, ends, strict=True)
    ]
    alone = np.where(n_standing > 1, 0, np.arange(n_components + 1, dtype=np.int32))
    labels = renumbered(components, alone, out=components)
    if affinities is None:
        grown = _grow_all([boundary[box] for box in boxes], own_seeds, owns) if boxes else []
    else:
        grown = [
            grow_along((affinities[0][box], affinities[1][box]), own_seed, own)
            for own_seed, own, box in zip(own_seeds, owns, boxes, strict=True)
        ]
    for box, own, part in zip(boxes, owns, grown, strict=True):
        labels[box][own] = part[own]
    return labels


def _grow_all(
    heights: Sequence[NDArray[np.floating]], seeds: Sequence[NDArray[np.int32]], masks: Sequence[NDArray[np.bool_]]
) -> list[NDArray[np.int32]]:
    """Flood crops as `_grow` does, laid out in one image: a watershed of its own for each takes far longer."""
    places, shape = lay_out([mask.shape for mask in masks])
    height, seed, mask = np.zeros(shape), np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=bool)
    for place, *parts in zip(places, heights, seeds, masks, strict=True):
        height[place], seed[place], mask[place] = parts
    grown = _grow(height, seed, mask)
    return [grown[place] for place in places]


def _from_boundary(boundary: NDArray[np.floating], boundary_threshold: float) -> NDArray[np.int32]:
    """Label the regions between boundaries and take the background away."""
    seeds, n_seeds = ndimage.label(boundary < boundary_threshold, output=np.int32)
    if n_seeds == 0:
        return np.asarray(seeds, dtype=np.int32)
    keep = _without_background(seeds)
    return np.asarray(keep[_grow(boundary, seeds, np.ones(seeds.shape, dtype=bool))], dtype=np.int32)


def _from_contacts(
    foreground: NDArray[np.floating] | None,
    boundary: NDArray[np.floating] | None,
    threshold: float,
    boundary_threshold: float,
    join: float,
) -> NDArray[np.int32]:
    """Divide the image among cells by their contacts, and take what is no foreground away."""
    heights = [1 - foreground] if foreground is not None else []
    heights += [boundary] if boundary is not None else []
    cells = agglomerate(np.maximum.reduce(heights), threshold=boundary_threshold, join=join)
    if foreground is None:
        return _without_background(cells)[cells]
    inside = np.where(foreground > threshold, cells, 0)
    return np.asarray(label_equal(inside, background=0, connectivity=1), dtype=np.int32)


def _without_background(regions: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the number that each region keeps: 0 for those at much of the image's border."""
    n = int(regions.max(initial=0)) + 1
    on_border = np.ones(regions.shape, dtype=bool)
    on_border[1:-1, 1:-1] = False
    share = np.bincount(regions[on_border], minlength=n) / max(1, int(np.count_nonzero(on_border)))
    keep = np.where(share < BACKGROUND_BORDER, np.arange(n), 0).astype(np.int32)
    keep[0] = 0
    return keep


def _grow(height: NDArray[np.floating], seeds: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Flood the unseeded pixels of the mask, lowest first."""
    # The watershed queues every seed pixel; those without an unseeded neighbor have nothing to flood.
    front = ndimage.binary_dilation(mask & (seeds == 0), structure=_EIGHT) & mask
    flooded = watershed(height, np.where(front, seeds, 0), connectivity=2, mask=front)
    return np.asarray(np.where(seeds > 0, seeds, flooded), dtype=np.int32)
