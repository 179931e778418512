"""Training images out of a store: those of one part, with the instances that the store has."""

from pathlib import Path
from typing import Literal

from autosam.data.backend_folder import MANIFEST
from autosam.data.folders import LabeledImage, SplitPart, check_tables, evenly_spaced, renumbered, table_prompts
from autosam.data.manifest import FORMAT, SPLITS
from autosam.data.refusal import refuse_faults
from autosam.data.store import Store
from autosam.errors import InputError
from autosam.images import normalize, to_uint8
from autosam.images.formats import HDF5_SUFFIXES
from autosam.prompts.prompt import Prompt


def names_store(path: Path) -> bool:
    """Tell whether a path is meant as a store: `.h5`, `.hdf5`, `.zarr`, or a folder with a store's manifest.

    Examples
    --------
    >>> names_store(Path("epfl.h5")), names_store(Path("epfl/raw"))
    (True, False)
    """
    if path.suffix.lower() in (*HDF5_SUFFIXES, ".zarr"):
        return True
    try:
        with (path / MANIFEST).open("rb") as file:
            # Others have manifests too; the format stands first in a store's.
            return FORMAT.encode() in file.read(200)
    except OSError:
        return False


def stored_labeled_images(
    path: Path,
    part: SplitPart,
    *,
    source: str | None = None,
    low: float = 0.5,
    high: float = 99.5,
    non_finite: Literal["error", "background"] = "error",
    fraction: float = 1.0,
    prompts: Path | None = None,
) -> list[LabeledImage]:
    """Read the images of one part of a store, and their labels, into memory.

    Parameters
    ----------
    path : Path
        The store.
    part : {"train", "val"}
        Images in other parts or in none are left out.
    source : str, optional
        Name of the source; the manifest's by default.
    low, high, non_finite
        Those of `images.normalize`.
    fraction : float
        Share of the images that is read, as `folders.evenly_spaced` takes it.
    prompts : Path, optional
        A folder of an user's prompts: see `folders.table_prompts`.

    Returns
    -------
    list of LabeledImage
        In the order of the store.

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
    labeled_images, faults = [], []
    for item in items:
        try:
            pixels, labels = store.image(item.name), store.labels(item.name)
            image = to_uint8(normalize(pixels, low=low, high=high, non_finite=non_finite))
            asked: tuple[Prompt, ...] = ()
            if prompts is not None:
                asked = table_prompts(prompts, item.name, image=item.name, shape=(item.shape[0], item.shape[1]))
        except InputError as error:
            faults.append(f"{item.name}: {str(error).removesuffix('.')}")
            continue
        labeled_images.append(LabeledImage(f"{name}/{item.name}", name, image, renumbered(labels), asked))
    refuse_faults(faults, str(path))
    return labeled_images


def _empty(store: Store, part: SplitPart) -> InputError:
    counts = {name: sum(item.split == name for item in store.items) for name in SPLITS}
    if not any(counts.values()):
        return InputError(f"{store.path} is not split; divide it with `autosam data split {store.path}`.")
    there = ", ".join(f"{count} {name}" for name, count in counts.items())
    return InputError(
        f"{store.path} has no image in the part {part} ({there}); divide it anew with "
        f"`autosam data split {store.path} --overwrite`, or with --from and lists of your own."
    )
