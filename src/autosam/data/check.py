"""Look through a store once, slice by slice, for faults that would spoil training or a benchmark unnoticed."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autosam.data.alignment import Advantage, Edges, advantage, slice_edges
from autosam.data.duplicates import fingerprint
from autosam.data.findings import Finding
from autosam.data.leaks import identical, lookalikes, neighbors
from autosam.data.manifest import Item
from autosam.data.objects import ObjectCount, Objects
from autosam.data.store import Store
from autosam.errors import InputError
from autosam.metrics.semantic import SemanticEvidence

# Labels are compared with this many images before and after their own.
REACH = 2
# Smaller objects, in pixels, are probably mistakes.
TINY = 10

Look = Callable[[Item, NDArray[Any] | None, NDArray[Any] | None], None]


@dataclass(frozen=True, eq=False)
class ImageRow:
    """An image and its objects, sizes in pixels; None where there are no labels or they cannot be read."""

    item: Item
    objects: Objects | None


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What a check found.

    Attributes
    ----------
    rows : tuple of ImageRow
        One for each image.
    volumes : dict of name to Objects
        Whole objects of each volume, sizes in voxels, where ids hold across slices; else empty.
    findings : tuple of Finding
        Faults first, then in the order of the store.
    """

    rows: tuple[ImageRow, ...]
    volumes: dict[str, Objects]
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> int:
        """Number of faults."""
        return sum(finding.level == "fault" for finding in self.findings)


def check_store(
    store: Store, *, alike: float = 0.65, look: Look = lambda item, image, labels: None
) -> CheckReport:
    """Read every image once and report; damaged files are faults and raise nothing.

    Parameters
    ----------
    store : Store
        The images.
    alike : float
        Correlation of fingerprints (32 × 32 cells) from which images of two parts are near-duplicates. On public
        data unrelated images stay below .3, neighbors 50 nm apart reach .69 to .77, those 5 nm apart .99.
    look : callable
        Called with each item, its pixels and its labels, None for what cannot be read: for progress and pictures.
    """
    check = _Check(store)
    for item in store.items:
        image, labels = check.read(item)
        check.add(item, image, labels)
        look(item, image, labels)
    check.finish(alike)
    faults_first = sorted(check.findings, key=lambda finding: finding.level != "fault")
    return CheckReport(tuple(check.rows), check.volumes, tuple(faults_first))


class _Check:
    """The state of one pass: of each volume no more than `REACH` slices are held."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows: list[ImageRow] = []
        self.volumes: dict[str, Objects] = {}
        self.findings: list[Finding] = []
        self._ids_3d = store.manifest.ids == "3d"
        self._left = Counter(item.volume for item in store.items)
        self._counts: dict[str, ObjectCount] = {}
        self._edges: dict[str | None, deque[tuple[Item, Edges]]] = {}
        self._best: dict[str, tuple[Advantage, str]] = {}
        self._prints: dict[str, NDArray[np.float32]] = {}
        self._unknown: set[str] = set()
        self._hashes: dict[str, list[Item]] = {}
        self._semantic = SemanticEvidence()

    def _fault(self, kind: str, item: str, text: str) -> None:
        self.findings.append(Finding("fault", kind, item, text))

    def _warn(self, kind: str, item: str, text: str) -> None:
        self.findings.append(Finding("warning", kind, item, text))

    def read(self, item: Item) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """Read image and labels; what cannot be read, or is not what the manifest says, is a fault."""
        image: NDArray[Any] | None = None
        labels: NDArray[Any] | None = None
        try:
            image = self.store.image(item.name)
            if item.labels_dtype is not None:
                labels = self.store.labels(item.name)
                valid = self.store.valid(item.name)
                if valid is not None and valid.shape != labels.shape:
                    self._fault("size", item.name, f"a mask of {valid.shape} for labels of {labels.shape}")
                elif valid is not None:
                    # What does not count is no object, and no fault either.
                    labels = np.where(valid, labels, np.zeros((), labels.dtype))
                    if not valid.any():
                        self._unknown.add(item.name)
                        self._warn(
                            "no valid pixel", item.name, "its mask leaves nothing to learn from or to score"
                        )
        except InputError as error:
            self._fault("unreadable", item.name, str(error))
        image_is, labels_are = (item.shape, item.dtype), (item.shape[:2], item.labels_dtype)
        for what, array, (shape, dtype) in (("image", image, image_is), ("labels", labels, labels_are)):
            if array is not None and array.shape != shape:
                self._fault("size", item.name, f"{what} of {array.shape}; the manifest says {shape}")
            if array is not None and array.dtype != dtype:
                self._fault("type", item.name, f"{what} of {array.dtype}; the manifest says {dtype}")
        return image, labels

    def add(self, item: Item, image: NDArray[Any] | None, labels: NDArray[Any] | None) -> None:
        """Look at one image and its labels."""
        if image is not None:
            self._add_image(item, image)
        objects = None if labels is None else self._add_labels(item, labels)
        self.rows.append(ImageRow(item, objects))
        if image is not None and labels is not None and image.shape[:2] == labels.shape:
            self._align(item, image, labels)
        self._left[item.volume] -= 1
        if not self._left[item.volume]:
            self._edges.pop(item.volume, None)
            self._end_volume(item)

    def _add_image(self, item: Item, image: NDArray[Any]) -> None:
        if image.dtype.kind == "f" and not (finite := np.isfinite(image)).all():
            self._fault("not finite", item.name, f"{np.count_nonzero(~finite)} values are NaN or infinite")
        if image.min() == image.max():
            self._warn("constant image", item.name, f"every pixel is {image.flat[0]}")
        self._prints[item.name] = fingerprint(image)
        digest = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
        self._hashes.setdefault(f"{image.shape} {image.dtype} {digest}", []).append(item)

    def _add_labels(self, item: Item, labels: NDArray[Any]) -> Objects:
        count = ObjectCount()
        count.add(labels)
        objects = count.objects()
        if not objects.ids.size and item.name not in self._unknown:
            self._warn("empty labels", item.name, "no pixel has an id")
        if self._ids_3d and item.volume is not None:
            volume = self._counts.setdefault(item.volume, ObjectCount())
            try:
                volume.add(labels)
            except InputError as error:
                self._fault("size", item.name, str(error))
        else:
            self._semantic.add(labels)
            self._check_ids(item.name, objects, "px")
        return objects

    def _end_volume(self, item: Item) -> None:
        if item.volume in self._counts:
            objects = self._counts.pop(item.volume).objects()
            self.volumes[item.volume] = objects
            self._semantic.add_counts(dict(zip(objects.ids.tolist(), objects.pieces.tolist(), strict=True)))
            self._check_ids(item.volume, objects, "voxels")

    def _check_ids(self, name: str, objects: Objects, unit: str) -> None:
        of = f"of {objects.ids.size} objects"
        if objects.missing:
            self._warn("ids not contiguous", name, f"{objects.missing} ids up to {objects.ids[-1]} are not used")
        apart = objects.ids[objects.pieces > 1]
        if apart.size:
            text = f"{apart.size} {of} in up to {objects.pieces.max()} pieces: {_listed(apart)}"
            self._warn("ids not connected", name, text)
        tiny = objects.ids[objects.sizes < TINY]
        if tiny.size:
            self._warn("tiny objects", name, f"{tiny.size} {of} under {TINY} {unit}: {_listed(tiny)}")

    def _align(self, item: Item, image: NDArray[Any], labels: NDArray[Any]) -> None:
        edges = slice_edges(image, labels)
        before = self._edges.setdefault(item.volume, deque(maxlen=REACH))
        for other, other_edges in before:
            self._compare(item, advantage(edges, other_edges), other.name)
            self._compare(other, advantage(other_edges, edges), item.name)
        before.append((item, edges))

    def _compare(self, item: Item, found: Advantage, other: str) -> None:
        if found.is_clear and (item.name not in self._best or found.t > self._best[item.name][0].t):
            self._best[item.name] = (found, other)

    def finish(self, alike: float) -> None:
        """Look for what only all images together show."""
        for item in self.store.items:
            if item.name in self._best:
                found, other = self._best[item.name]
                text = f"labels fit {other} better (edges +{found.difference:.2f} sd, t {found.t:.1f})"
                self._fault("misaligned", item.name, text)
        self.findings += identical(self._hashes.values())
        self.findings += neighbors(self.store.items)
        self.findings += lookalikes(self.store.items, self._prints, threshold=alike)
        unlabeled = sum(item.labels_dtype is None for item in self.store.items)
        if unlabeled:
            self._warn("no labels", "", f"{unlabeled} of {len(self.store)} images have none")
        types = Counter(item.dtype for item in self.store.items)
        if len(types) > 1:
            self._warn("mixed types", "", ", ".join(f"{count} {dtype}" for dtype, count in types.most_common()))
        self._warn_of_masks()

    def _warn_of_masks(self) -> None:
        """Warn where ids are classes; a single object of id 1 in one piece makes no mask."""
        kind, ids = self._semantic.kind, ", ".join(map(str, sorted(self._semantic.ids)))
        if kind == "mask":
            text = f"the only id anywhere is {ids}, as in a mask: import it as components"
            self._warn("semantic labels", "", text)
        elif kind:
            text = (
                f"the only ids anywhere are {ids}, in many pieces each, as in masks of classes: import components"
            )
            self._warn("semantic labels", "", text)


def _listed(ids: NDArray[np.uint64], most: int = 5) -> str:
    return "id " + ", ".join(str(number) for number in ids[:most]) + (", …" if ids.size > most else "")
