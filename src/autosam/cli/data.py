"""`autosam data`: public data sets and your own in one form, and what is done with them there."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import interruptible, note, result, say
from autosam.cli.data_check import check
from autosam.cli.data_tools import patches, show, split
from autosam.cli.progress import progress
from autosam.cli.usage import FOR_ALL, Command, group
from autosam.cli.words import count

if TYPE_CHECKING:
    from autosam.data.store import Store

data = group("Import data sets, and check, show, split and cut them.")
for command in (check, show, split, patches):
    data.command(cls=Command, epilog=FOR_ALL)(command)


@data.command("sources", cls=Command, epilog=FOR_ALL)
def list_sources() -> None:
    """List the data sets and layouts that import reads."""
    from autosam.data.sources import SOURCES

    width = max(len(source.name) for source in SOURCES)
    for source in SOURCES:
        kinds = (*source.targets, *filter(None, [source.own_targets]))
        targets = f" [--target {'|'.join(kinds)}]" if kinds else ""
        result(f"{source.name:{width}}  {source.layout}{targets}")


@data.command("import", cls=Command, epilog=FOR_ALL)
def import_data(
    path: str = typer.Argument(..., metavar="RELEASE", help="Its folder or file, or FILE.h5:/DATASET."),
    labels: str | None = typer.Argument(
        None, metavar="[LABELS]", help="Labels, where the layout keeps them apart: folder, file, dataset or name."
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="STORE", help="The new store: .h5 or .zarr. [SOURCE.h5]"
    ),
    source: str | None = typer.Option(None, metavar="NAME", help="Layout, see autosam data sources. [guessed]"),
    target: str | None = typer.Option(
        None,
        "--target",
        "--category",
        metavar="NAME",
        help="Which objects: mitochondria or neurites of vnc, a category of coco (name or id; commas between "
        "several), a class or kind of qupath.",
    ),
    instances: str | None = typer.Option(
        None,
        metavar="published|components-2d|components-3d",
        help="published: ids as they are. components-2d, components-3d: connected components of all that is "
        "not 0. [components-2d for semantic masks, else published]",
    ),
    min_size: int | None = typer.Option(
        None, min=1, metavar="VOXELS", help="Smallest component; smaller ones become background. [50]"
    ),
    voxel_size: str | None = typer.Option(
        None, metavar="Z,Y,X", help="Voxel size in nm, where the source does not say it."
    ),
    license: str | None = typer.Option(None, metavar="LICENSE", help="Terms of use, for the manifest."),
    citation: str | None = typer.Option(None, metavar="CITATION", help="What to cite, for the manifest."),
    stack: bool = typer.Option(
        False, "--stack", help="The images of a folder are slices of one volume, z in their names."
    ),
    unlabeled: bool = typer.Option(
        False, "--unlabeled", help="Also import slices without labels, such as a hidden test set."
    ),
    ignore_label: int | None = typer.Option(
        None, "--ignore-label", metavar="N", help="Pixels of this number in the labels, such as 255, do not count."
    ),
    restart: bool = typer.Option(
        False, "--restart", help="Start over instead of going on, and replace an older store."
    ),
) -> None:
    """Bring a data set into a store.

    A store has one form for all data sets and keeps license, voxel size and origin. An interrupted import goes on
    where it stopped when the command is repeated.
    """
    from autosam.data.importing import INSTANCES, Terms, import_release
    from autosam.data.sources import open_release
    from autosam.errors import InputError
    from autosam.images.overwriting import refuse_overwriting

    if instances is not None and instances not in INSTANCES:
        raise InputError(f"--instances {instances} is unknown; choose one of {', '.join(INSTANCES)}")
    release = open_release(path, labels, source=source, target=target, stack=stack, ignore=ignore_label)
    store_path = output or Path(f"{release.source}.h5")
    refuse_overwriting(store_path, filter(None, (path, labels)))
    total = sum(piece.labeled or unlabeled for piece in release.slices)
    origin = (Path(path).resolve(), labels, target, total, ignore_label)
    doing = {"read": "reading", "pack": "packing"}
    with (
        interruptible("the same command goes on where it stopped"),
        progress("importing", len(doing) * total, "steps") as bar,
    ):
        store, notes = import_release(
            release,
            store_path,
            instances=instances,  # type: ignore[arg-type]
            min_size=min_size,
            unlabeled=unlabeled,
            ignore=ignore_label,
            terms=Terms(license, citation, _voxel_size(voxel_size)),
            origin=" ".join(str(part) for part in origin if part is not None),
            restart=restart,
            tick=lambda step: bar.advance(doing[step]),
        )
    _describe(store, notes)


def _describe(store: "Store", notes: list[str]) -> None:
    manifest = store.manifest
    volumes = f" in {count(len(store.volumes), 'volume')}" if store.volumes else ""
    # Lone images have no depth.
    size = tuple(n for n in manifest.voxel_size_nm or () if n > 0)
    axes = "z, y, x" if len(size) == 3 else "y, x"
    say(f"{store.path}: {count(len(store), 'image')}{volumes} from {manifest.source}.")
    say(f"instances   {manifest.instances}; ids hold in {manifest.ids}")
    say(f"voxel size  {' × '.join(f'{n:g}' for n in size)} nm ({axes})" if size else "voxel size  not known")
    say(f"license     {manifest.license}")
    if manifest.citation:
        say(f"cite        {manifest.citation}")
    for text in (*manifest.notes, *notes):
        note(f"{text}.")


def _voxel_size(text: str | None) -> tuple[float, float, float] | None:
    from autosam.errors import InputError

    if text is None:
        return None
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--voxel-size {text} is not three numbers; write Z,Y,X in nm, such as 30,8,8") from None
    if not (0 <= z < 1e9 and 0 < y < 1e9 and 0 < x < 1e9):
        raise InputError(f"--voxel-size {text}: wanted y and x above 0, z 0 (single images) or above, in nm")
    return z, y, x
