"""Whether labels are semantic: numbers of classes, each with many objects, where ids of objects are wanted."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from autosam.metrics.label_arrays import as_mask_array

Kind = Literal["", "mask", "classes"]

# Semantic labels have few classes. Public instance labels with so few ids (nuclei of five modalities,
# mitochondria in slices and volumes) have 1.0 to 2.0 pieces for each id, semantic ones 12 to 350.
MOST_CLASSES = 10
PIECES_PER_CLASS = 2.5
# So many ids in two pieces each, and none in one, are no chance.
_USES = 3
# Pieces below this share of the largest one of their id are slips of a brush.
_CRUMB = 0.05
# How much of a piece's outline may touch something else where it lies inside another id.
_LEAK = 0.05


@dataclass
class SemanticEvidence:
    """What images of one data set say together; each is added once, in any order.

    Attributes
    ----------
    ids : set of int
        Every id seen, at most one more than `MOST_CLASSES`.
    uses, pieces, several : int
        Over all images: how many ids they hold, in how many connected pieces, and how many of the ids lie in
        several.
    nested : bool
        Whether all pieces of an id, two or more, lie inside pieces of another, as a rim lies around each nucleus.

    Examples
    --------
    >>> evidence = SemanticEvidence()
    >>> evidence.add(np.array([[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [2, 0, 2, 0, 2]]))
    >>> evidence.kind
    'classes'
    """

    ids: set[int] = field(default_factory=set)
    uses: int = 0
    pieces: int = 0
    several: int = 0
    nested: bool = False

    def add(self, labels: ArrayLike) -> None:
        """Add labels of one image or volume; 0 is background, pieces touch at a face, an edge or a corner."""
        array = as_mask_array(labels)
        if len(self.ids) > MOST_CLASSES or not array.size:
            return
        # Most instance labels show more ids than that in a few of their pixels.
        few = array.ravel()[:: 1 + array.size // 4096]
        found = np.unique(few if np.unique(few).size > MOST_CLASSES + 1 else array)
        self.ids.update(int(number) for number in found[found != 0][: MOST_CLASSES + 1])
        if len(self.ids) > MOST_CLASSES:
            return
        counted = {int(number): _pieces(array == number) for number in found if number != 0}
        self.add_counts({number: count for number, (_, count) in counted.items()})
        self.nested = self.nested or any(
            count > 1 and _lies_inside(where, count, array, {n: c for n, (_, c) in counted.items() if n != number})
            for number, (where, count) in counted.items()
        )

    def add_counts(self, pieces: dict[int, int]) -> None:
        """Add an image of which only the number of pieces of each id is known."""
        self.ids.update(list(pieces)[: MOST_CLASSES + 1])
        self.uses += len(pieces)
        self.pieces += sum(pieces.values())
        self.several += sum(count > 1 for count in pieces.values())

    @property
    def kind(self) -> Kind:
        """What the labels look like.

        "mask" where the only id is 255, the white of a mask image, or lies in several pieces in most images.
        "classes" where there are few ids, all in several pieces or most in many, or one inside the other. "" for
        instances, and without objects.
        """
        most = 2 * self.several >= self.uses > 0
        if len(self.ids) == 1:
            return "mask" if self.ids == {255} or most else ""
        if not 1 < len(self.ids) <= MOST_CLASSES:
            return ""
        all_of_them = self.several == self.uses >= _USES
        many = all_of_them or (most and self.pieces >= PIECES_PER_CLASS * self.uses)
        return "classes" if self.nested or many else ""


def looks_semantic(labels: ArrayLike) -> bool:
    """Tell whether labels of one image look like masks of classes rather than like instances.

    See `SemanticEvidence.kind`; labels without objects do not.

    Examples
    --------
    >>> looks_semantic(np.array([0, 255, 255])), looks_semantic(np.array([0, 1, 1]))
    (True, False)
    """
    evidence = SemanticEvidence()
    evidence.add(labels)
    return evidence.kind != ""


def _pieces(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Label the connected pieces of a mask without crumbs, and count them."""
    pieces, n = ndimage.label(mask, structure=np.ones((3,) * mask.ndim, bool), output=np.int32)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
    kept = sizes >= _CRUMB * sizes.max(initial=0)
    numbers = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
    return np.asarray(numbers[pieces], dtype=np.int32), int(kept.sum())


def _lies_inside(pieces: NDArray[np.int32], count: int, array: NDArray[Any], others: dict[int, int]) -> bool:
    """Tell whether most pieces of an id lie inside one other id, which has several pieces too."""
    around = np.zeros(count + 1)
    of_other = {number: np.zeros(count + 1) for number, n in others.items() if n > 1}
    for axis in range(array.ndim):
        for here, there in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            index = (*(slice(None),) * axis, here), (*(slice(None),) * axis, there)
            own, beside = pieces[index[0]], array[index[1]]
            edge = (own > 0) & (pieces[index[1]] != own)
            around += np.bincount(own[edge], minlength=count + 1)
            for number, touching in of_other.items():
                touching += np.bincount(own[edge & (beside == number)], minlength=count + 1)
    inside = [
        int((touching[1:] >= (1 - _LEAK) * around[1:])[around[1:] > 0].sum()) for touching in of_other.values()
    ]
    return any(number > 1 and 2 * number > count for number in inside)
