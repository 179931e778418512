"""`autosam data split|patches|show`: what is done with a store once it is there."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import say
from autosam.cli.options import StorePath
from autosam.cli.progress import progress
from autosam.cli.words import count
from autosam.errors import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autosam.data.split import Splits
    from autosam.data.store import Store


def split(
    store: StorePath,
    by: str | None = typer.Option(
        None,
        metavar="blocks|volume|group|random",
        help="blocks: runs of slices along z, with gaps. volume: whole volumes. group: whole groups. random: "
        "single images, group by group. [blocks where there are volumes or runs of slices, volume for patches of "
        "single images, else random]",
    ),
    fractions: str | None = typer.Option(None, metavar="A/B/C", help="Shares of train, val and test. [80/10/10]"),
    gap: int | None = typer.Option(
        None, min=0, metavar="Z", help="With blocks: slices left out between parts. [50 nm, at least 1 slice]"
    ),
    seed: int | None = typer.Option(
        None, min=0, metavar="N", help="Seed of the shuffle, with volume, group and random. [0]"
    ),
    force: bool = typer.Option(
        False, "--force", help="With random: allow slices of one volume in different parts."
    ),
    given: str | None = typer.Option(
        None,
        "--from",
        metavar="FILE.json[:SOURCE]",
        help="Take the parts from lists of names instead: {source: {train: [...], val: [...]}}.",
    ),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="FILE.json", help="Also write the lists, for data.split of a config."
    ),
    source: str | None = typer.Option(
        None, metavar="NAME", help="Name of the source in FILE.json. [the store's source]"
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the parts that the images are in already."),
) -> None:
    """Put every image into train, val or test.

    Images that show the same place stay in one part.
    """
    from autosam.data.given_split import write_lists
    from autosam.data.split import as_lists, default_method
    from autosam.data.store import Store
    from autosam.errors import ConfigError, InputError
    from autosam.images.overwriting import refuse_overwriting

    opened = Store.open(store)
    if output is not None:
        refuse_overwriting(output, [store])
    before = as_lists(opened.items, {item.name: item.split for item in opened.items})
    if any(before.values()) and not overwrite:
        counts = ", ".join(f"{len(names)} {part}" for part, names in before.items())
        raise InputError(f"{store} is split already ({counts}); add --overwrite to split it anew")
    runs = () if given is not None else _runs(opened, by)
    method = "--from" if given is not None else by or ("blocks" if runs else default_method(opened.items))
    for option, came, fits in (
        ("--by", by is not None, given is None),
        ("--fractions", fractions is not None, given is None),
        ("--gap", gap is not None, method == "blocks"),
        ("--seed", seed is not None, method not in ("blocks", "--from")),
        ("--force", force, method == "random"),
        ("--source", source is not None, output is not None),
    ):
        if came and not fits:
            wanted = "-o FILE.json" if option == "--source" else f"another method than {method}"
            raise ConfigError(f"{option} came but has no effect: it needs {wanted}; leave it out")
    if given is not None:
        splits, how = _given(opened, given)
    else:
        splits, how = _divided(opened, runs, by, fractions, gap, seed or 0, force)
    lists = as_lists(opened.items, splits)
    if output is not None:
        write_lists(output, source or opened.manifest.source, lists)
    opened.with_splits(splits)
    left = len(splits) - sum(map(len, lists.values()))
    where = "in no part" if given is not None else "in the gaps, in no part"
    parts = ", ".join(f"{part} {len(names)}" for part, names in lists.items())
    say(f"{store} is split {how}: {parts}{f'; {left} {where}' if left else ''}.")
    if runs and by != "blocks":
        say(f"Runs of consecutive slices, whose neighbors look alike, were kept together: {listed(runs)}.")
    if output is not None:
        say(f"The lists are in {output}.")


def _given(store: "Store", text: str) -> "tuple[Splits, str]":
    """Take the parts from a file; a colon divides its name from the source's."""
    from autosam.data.given_split import given_splits, read_lists

    file, colon, source = text.rpartition(":")
    if not colon or Path(text).exists():
        file, source = text, ""
    name, lists = read_lists(Path(file), source or None, default=store.manifest.source)
    return given_splits(store.items, lists, name=f"{file}:{name}"), f"as {name} in {file}"


def _divided(
    store: "Store",
    runs: "Sequence[str]",
    method: str | None,
    fractions: str | None,
    gap: int | None,
    seed: int,
    force: bool,
) -> "tuple[Splits, str]":
    from autosam.data.slice_runs import split_with_runs
    from autosam.data.split import default_gap, parse_fractions

    shares = parse_fractions(fractions or "80/10/10")
    width = default_gap(store.manifest.voxel_size_nm) if gap is None else gap
    splits, chosen = split_with_runs(
        store.items,
        runs,
        method,  # type: ignore[arg-type]  # an unknown one is refused
        fractions=shares,
        gap=width,
        seed=seed,
        force=force,
    )
    return splits, f"by {chosen} ({f'a gap of {width}' if chosen == 'blocks' else f'seed {seed}'})"


def _runs(store: "Store", by: str | None) -> tuple[str, ...]:
    """Find runs of consecutive slices: from names alone for blocks, from what the images show otherwise."""
    from autosam.data.slice_runs import find_runs, named_runs

    named = named_runs(store.items)
    if by in ("group", "blocks") or not named:
        return named if by == "blocks" else ()
    with progress("comparing", len(store)) as bar:
        return find_runs(store.items, store.image, tick=bar.advance)


def patches(
    store: StorePath,
    out: Path = typer.Argument(..., metavar="OUT", help="The new store: .h5 or .zarr."),
    size: int = typer.Option(256, min=1, metavar="PIXELS", help="Side of a patch."),
    stride: int | None = typer.Option(
        None, min=1, metavar="PIXELS", help="Step from one patch to the next. [the size]"
    ),
    cover: bool = typer.Option(
        False, "--cover", help="Also cover what is left over at the borders, with more overlap."
    ),
    drop_empty: bool = typer.Option(False, "--drop-empty", help="Drop patches without foreground."),
    min_foreground: int = typer.Option(
        0, min=0, metavar="PIXELS", help="Drop patches with less foreground than this."
    ),
    restart: bool = typer.Option(False, "--restart", help="Replace OUT, and what an interrupted run left of it."),
) -> None:
    """Cut every image into patches.

    Split the store first: a patch stays in the part of its image.
    """
    from autosam.data.patches import write_patches
    from autosam.data.store import Store

    opened = Store.open(store)
    with progress("cutting", len(opened)) as bar:
        made = write_patches(
            opened,
            out,
            size=size,
            stride=stride,
            cover=cover,
            min_foreground=max(min_foreground, int(drop_empty)),
            restart=restart,
            tick=bar.advance,
        )
    dropped = f", {made.dropped:,} dropped for want of foreground" if drop_empty or min_foreground else ""
    gave = f"{count(made.images, 'image')} gave {count(made.kept, 'patch', 'patches')} of {size} × {size}"
    say(f"{gave}{dropped}: {out}.")
    if made.too_small:
        say(f"Too small for a patch, and left out: {count(made.too_small, 'image')}.")


def show(
    store: StorePath,
    which: list[str] = typer.Argument(..., metavar="IMAGE...", help="Names, or positions counted from zero."),
    output: Path = typer.Option(Path(), "-o", "--output", metavar="FOLDER", help="Folder for NAME_overlay.png."),
    fill: float = typer.Option(
        0.2, min=0, max=1, metavar="SHARE", help="Color inside the objects; 0 draws outlines only."
    ),
) -> None:
    """Draw images with their objects."""
    import numpy as np

    from autosam.data.store import Store
    from autosam.images import ensure_folder, normalize_for_display, to_uint8, write_png
    from autosam.report.overlay import draw_overlay

    opened = Store.open(store)
    names = [_find(opened, text) for text in which]
    ensure_folder(output)
    for name in names:
        item = opened.item(name)
        picture = to_uint8(normalize_for_display(opened.image(name)))
        said = "no labels"
        if item.labels_dtype is not None:
            labels = opened.labels(name)
            picture = draw_overlay(picture, labels, fill=fill)
            ids = np.unique(labels)
            said = count(ids.size - int(ids[0] == 0), "object")
        file = output / f"{name}_overlay.png"
        write_png(file, picture)
        size = " × ".join(map(str, item.shape))
        say(f"{file}: {size} {item.dtype}, {said}, part {item.split or 'none'}, group {item.group or 'none'}")


def _find(store: "Store", text: str) -> str:
    """Take a text for a name, and where there is none for a position."""
    if text.isdecimal() and text not in {item.name for item in store.items}:
        return store.item(int(text)).name
    return store.item(text).name
