"""`autosam data`: public and own data sets into one form, and what is done with it there."""

from pathlib import Path
from typing import Annotated

import typer

from autosam.cli.data_tools import check, patches, show, split
from autosam.cli.progress import image_progress

data = typer.Typer(help="Import data sets, check, show, split and cut them.", no_args_is_help=True)
data.command()(check)
data.command()(show)
data.command()(split)
data.command()(patches)


@data.command("sources")
def list_sources() -> None:
    """List the layouts that import reads."""
    from autosam.data.sources import SOURCES

    width = max(len(source.name) for source in SOURCES)
    for source in SOURCES:
        targets = f" [--target {'|'.join(source.targets)}]" if source.targets else ""
        typer.echo(f"{source.name:{width}}  {source.layout}{targets}")


@data.command("import")
def import_data(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="Folder or file of the release, or file.h5:/dataset.", show_default=False
        ),
    ],
    labels: Annotated[
        str | None,
        typer.Argument(
            metavar="[LABELS]", help="The labels, where the layout has them apart: folder, file, dataset or name."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="STORE",
            help="The store to be: .h5 or .zarr. [SOURCE.h5]",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Layout, see `autosam data sources`. By default guessed.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which objects: vnc has mitochondria and neurites.")
    ] = None,
    instances: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="published: ids as they are · components-2d, components-3d: connected components of all that is "
            "not 0. By default components-2d for sources with semantic masks, else published.",
        ),
    ] = None,
    min_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="VOXELS", help="Smallest component; others become background. [50]"),
    ] = None,
    voxel_size: Annotated[
        str | None, typer.Option(metavar="Z,Y,X", help="In nm, where the source does not say it.")
    ] = None,
    license: Annotated[str | None, typer.Option(metavar="TEXT", help="Terms of use, for the manifest.")] = None,
    citation: Annotated[str | None, typer.Option(metavar="TEXT", help="What to cite, for the manifest.")] = None,
    stack: Annotated[
        bool, typer.Option("--stack", help="The images of a folder are slices of one volume, z in their names.")
    ] = False,
    unlabeled: Annotated[
        bool, typer.Option("--unlabeled", help="Import slices without labels too, such as a hidden test set's.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew instead of going on, and replace an older store.")
    ] = False,
) -> None:
    """Bring a data set into a store: one form for all, with its license, voxel size and origin written down.

    An import that is interrupted goes on where it stopped when the command is repeated.
    """
    from autosam.data.importing import INSTANCES, Terms, import_release
    from autosam.data.sources import open_release
    from autosam.errors import InputError

    if instances is not None and instances not in INSTANCES:
        raise InputError(f"--instances {instances} is unknown; wanted {', '.join(INSTANCES)}.")
    release = open_release(path, labels, source=source, target=target, stack=stack)
    place = output or Path(f"{release.source}.h5")
    total = sum(piece.labeled or unlabeled for piece in release.slices)
    with image_progress("importing") as bar:
        steps = {step: bar.add_task(step, total=total) for step in ("read", "pack")}
        store, notes = import_release(
            release,
            place,
            instances=instances,  # type: ignore[arg-type]
            min_size=min_size,
            unlabeled=unlabeled,
            terms=Terms(license, citation, _voxel_size(voxel_size)),
            origin=" ".join(
                str(part) for part in (Path(path).resolve(), labels, target, total) if part is not None
            ),
            restart=restart,
            tick=lambda step: bar.advance(steps[step]),
        )
    volumes = f" in {len(store.volumes)} volume(s)" if store.volumes else ""
    manifest = store.manifest
    # Lone images have no depth.
    size = tuple(n for n in manifest.voxel_size_nm or () if n > 0)
    axes = "z, y, x" if len(size) == 3 else "y, x"
    typer.echo(f"{store.path}: {len(store)} image(s){volumes} from {manifest.source}.")
    typer.echo(f"instances   {manifest.instances}; ids hold in {manifest.ids}")
    typer.echo(
        f"voxel size  {' × '.join(f'{n:g}' for n in size)} nm ({axes})" if size else "voxel size  not known"
    )
    typer.echo(f"license     {manifest.license}")
    if manifest.citation:
        typer.echo(f"cite        {manifest.citation}")
    for note in (*manifest.notes, *notes):
        typer.echo(f"note: {note}.")


def _voxel_size(text: str | None) -> tuple[float, float, float] | None:
    from autosam.errors import InputError

    if text is None:
        return None
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--voxel-size {text} is not three numbers; wanted Z,Y,X in nm, as in 30,8,8.") from None
    if not (0 <= z < 1e9 and 0 < y < 1e9 and 0 < x < 1e9):
        raise InputError(f"--voxel-size {text}: wanted y and x above 0, z 0 (single images) or above, in nm.")
    return z, y, x
