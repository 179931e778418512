"""Training images out of a store: those of one part, with the instances that the store has."""

from pathlib import Path

from autosam.config import ImagesConfig
from autosam.data.backends import STORE_SUFFIXES, is_tiff_store
from autosam.data.folders import (
    LabeledImage,
    SplitPart,
    check_tables,
    evenly_spaced,
    normalized,
    refuse_semantic,
    renumbered,
    table_prompts,
)
from autosam.data.manifest import SPLITS
from autosam.data.refusal import noting, refuse_faults
from autosam.data.store import Store
from autosam.data.valid_pixels import inside
from autosam.errors import InputError
from autosam.metrics.semantic import SemanticEvidence


def names_store(path: Path) -> bool:
    """Tell whether a path is meant as a store: by its suffix, or, of the old form that is refused, its manifest.

    Examples
    --------
    >>> names_store(Path("epfl.h5")), names_store(Path("epfl/raw"))
    (True, False)
    """
    return path.suffix.lower() in STORE_SUFFIXES or is_tiff_store(path)


def stored_labeled_images(
    path: Path,
    part: SplitPart,
    *,
    source: str | None = None,
    settings: ImagesConfig | None = None,
    fraction: float = 1.0,
    prompts: Path | None = None,
) -> list[LabeledImage]:
    """Read the images of one part of a store, and their labels, into memory, in the order of the store.

    The source is named after the manifest's unless `source` is given. `settings` and `prompts` are those of
    `folders.load_labeled_images`, and `fraction` that of `folders.evenly_spaced`.

    Raises
    ------
    InputError
        If there is no store, the part is empty, or images of it have no labels or cannot be read: all the faults
        in one line. If there is a folder of prompts and none of the images has any there.
    """
    store = Store.open(path)
    items = [item for item in store.items if item.split == part]
    if not items:
        raise _empty(store, part)
    name = source or store.manifest.source
    items = evenly_spaced(items, fraction)
    if prompts is not None:
        check_tables(prompts, [item.name for item in items], source=name)
    found: list[LabeledImage] = []
    faults: list[str] = []
    evidence = SemanticEvidence()
    for item in items:
        with noting(faults, f"{item.name}: "):
            image, stored = normalized(store.image(item.name), settings), store.labels(item.name)
            valid = store.valid(item.name)
            if {stored.shape, image.shape[:2] if valid is None else valid.shape} != {image.shape[:2]}:
                raise InputError(f"an image of {image.shape[:2]} and labels of {stored.shape}")
            labels = renumbered(stored)
            if valid is not None:
                labels, valid = inside(labels, valid)
                labels = renumbered(labels)
            evidence.add(labels)
            asked = table_prompts(prompts, item.name, image=item.name, shape=item.shape)
            found.append(LabeledImage(f"{name}/{item.name}", name, image, labels, asked, valid))
    refuse_faults(faults, str(path))
    # A branching object of a volume may lie in many pieces in each slice, and components are made of pieces.
    if store.manifest.ids == "2d" and store.manifest.min_size is None:
        refuse_semantic(evidence, str(path), "import it again with --instances components-2d")
    return found


def _empty(store: Store, part: SplitPart) -> InputError:
    counts = {name: sum(item.split == name for item in store.items) for name in SPLITS}
    if not any(counts.values()):
        return InputError(f"{store.path} is not split; divide it with `autosam data split {store.path}`.")
    there = ", ".join(f"{count} {name}" for name, count in counts.items())
    return InputError(
        f"{store.path} has no image in the part {part} ({there}); split it again with "
        f"`autosam data split {store.path} --overwrite`, or with --from and lists of your own."
    )
