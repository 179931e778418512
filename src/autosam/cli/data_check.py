"""`autosam data check`: a table of what a store holds and what is wrong with it, and a contact sheet."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autosam.cli.progress import count, image_progress

if TYPE_CHECKING:
    from autosam.data.check import CheckReport
    from autosam.data.findings import Finding
    from autosam.data.store import Store
    from autosam.report.contact_sheet import Panel


def check(
    store: Annotated[
        Path,
        typer.Argument(metavar="STORE", help="A store that `autosam data import` made.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="For the results. [STORE_check beside the store]"),
    ] = None,
    alike: Annotated[
        float, typer.Option(min=0, max=1, help="Correlation from which on images of two parts look alike.")
    ] = 0.65,
    panels: Annotated[
        int, typer.Option(min=1, help="Images on the contact sheet, those with findings first.")
    ] = 24,
) -> None:
    """Look for whatever would spoil training or scores. Exit status: 0, also with warnings, or 1 with faults.

    Faults: unreadable files, sizes and types other than the manifest's, NaN, labels that fit a neighboring
    image better than their own, one image in two parts. Warnings: all else.
    """
    from autosam.data.check import check_store
    from autosam.data.store import Store
    from autosam.images import ensure_folder, write_png
    from autosam.report.contact_sheet import contact_sheet

    opened = Store.open(store)
    folder = ensure_folder(output or store.with_name(f"{store.stem}_check"))
    with image_progress("checking") as bar:
        task = bar.add_task("checking", total=len(opened))
        report = check_store(opened, alike=alike, look=lambda item, image, labels: bar.advance(task))
    _print_check(opened, report)
    _write_check(folder, report)
    write_png(folder / "contact_sheet.png", contact_sheet(_panels(opened, report, panels)))
    typer.echo(f"Written: {folder / 'contact_sheet.png'}, {folder / 'images.csv'}, {folder / 'findings.csv'}")
    if report.faults:
        raise typer.Exit(1)


def _panels(store: "Store", report: "CheckReport", most: int) -> "list[Panel]":
    """Choose images for the sheet: up to half of it those with findings, the others evenly from the store."""
    from autosam.errors import InputError
    from autosam.report.contact_sheet import Panel, legible_crop, thumbnail

    kinds: dict[str, list[str]] = {}
    by_kind: dict[str, list[int]] = {}
    faulty: set[str] = set()
    positions = {item.name: number for number, item in enumerate(store.items)}
    for finding in report.findings:
        kinds.setdefault(finding.item, []).append(finding.kind)
        faulty.update({finding.item} if finding.level == "fault" else ())
        if finding.item in positions:
            by_kind.setdefault(finding.kind, []).append(positions[finding.item])
    chosen: set[int] = set()
    for numbers in by_kind.values():
        chosen.update(_evenly(sorted(set(numbers) - chosen), max(1, most // 2 // len(by_kind))))
    # There may be more kinds than panels; faults came first.
    chosen = set(sorted(chosen, key=lambda number: store.items[number].name not in faulty)[:most])
    chosen |= set(_evenly([n for n in range(len(store)) if n not in chosen], most - len(chosen)))
    panels = []
    for number in sorted(chosen, key=lambda number: (store.items[number].name not in kinds, number)):
        item, row = store.items[number], report.rows[number]
        try:
            labels = None if item.labels_dtype is None else store.labels(item.name)
            crop = None if row.objects is None else legible_crop(item.shape, row.objects.sizes)
            picture = thumbnail(store.image(item.name), labels, crop=crop)
        except InputError:
            # It is among the faults.
            continue
        objects = "no labels" if row.objects is None else count(row.objects.ids.size, "object")
        shown = "" if crop is None else f" · the middle {crop} px"
        lines = [item.name, f"{item.split or 'no part'} · {objects}{shown}"]
        if item.name in kinds:
            lines.append(", ".join(dict.fromkeys(kinds[item.name])))
        mark: Literal["fault", "warning"] = "fault" if item.name in faulty else "warning"
        panels.append(Panel(picture, tuple(lines), mark if item.name in kinds else None))
    return panels


def _evenly(numbers: list[int], most: int) -> list[int]:
    """Choose at most so many, evenly spread."""
    room = min(most, len(numbers))
    return [numbers[i * len(numbers) // room] for i in range(room)]


def _print_check(store: "Store", report: "CheckReport") -> None:
    from collections import Counter

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from autosam.data.shares import shares

    # Into a file or a pipe nothing is cut to the 80 columns that rich then assumes.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=True)
    sizes = Counter(f"{' × '.join(map(str, item.shape))} {item.dtype}" for item in store.items)
    common = ", ".join(f"{count} of {size}" for size, count in sizes.most_common(4))
    more = f" and {len(sizes) - 4} more sizes" if len(sizes) > 4 else ""
    manifest = store.manifest
    # Lone images have no depth.
    size = tuple(n for n in manifest.voxel_size_nm or () if n > 0)
    voxel = f"voxels of {' × '.join(f'{n:g}' for n in size)} nm" if size else "voxel size not known"
    types = (
        ", ".join(sorted({item.labels_dtype for item in store.items if item.labels_dtype is not None})) or "none"
    )
    images = count(len(store), "image")
    where = f" in {count(len(store.volumes), 'volume')}" if store.volumes else ""
    console.print(Text(f"{store.path}: {images}{where}: {common}{more}"))
    console.print(Text(f"source {manifest.source}; {voxel}; license {manifest.license}"))
    console.print(Text(f"labels {types}; ids hold in {manifest.ids}; instances: {manifest.instances}"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for title in ("images", "empty", "objects", "foreground", "size 5 %", "median", "95 % (px)"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in shares(report.rows):
        table.add_row(
            Text(row.name),
            f"{row.images:,}",
            f"{row.empty:,}",
            f"{row.objects:,}",
            _number(100 * row.foreground, " %", ".1f"),
            *(_number(size, "", ",.0f") for size in row.sizes),
        )
    console.print(table)
    for name, objects in list(report.volumes.items())[:10]:
        if objects.sizes.size:
            console.print(
                Text(
                    f"volume {name}: {objects.sizes.size:,} whole objects of {objects.sizes.min():,} to "
                    f"{objects.sizes.max():,} voxels"
                )
            )
    if not report.findings:
        console.print("No faults, no warnings.")
        return
    found = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("level", "what", "times", "such as"):
        found.add_column(title, no_wrap=title != "such as", justify="right" if title == "times" else "left")
    by_kind: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        by_kind.setdefault((finding.level, finding.kind), []).append(finding)
    for (level, kind), findings in by_kind.items():
        examples = [
            f"{finding.item}: {finding.text}" if finding.item else finding.text for finding in findings[:3]
        ]
        style = "red" if level == "fault" else "yellow"
        found.add_row(Text(level, style), kind, f"{len(findings):,}", Text("\n".join(examples)))
    console.print(found)
    warnings = len(report.findings) - report.faults
    console.print(f"{count(report.faults, 'fault')}, {count(warnings, 'warning')}.")


def _number(value: float, unit: str, form: str) -> str:
    return "–" if value != value else f"{value:{form}}{unit}"


def _write_check(folder: Path, report: "CheckReport") -> None:
    rows: list[Sequence[object]] = [
        (
            "image",
            "group",
            "volume",
            "z",
            "part",
            "shape",
            "type",
            "labels_type",
            "objects",
            "foreground",
            "median_px",
        )
    ]
    for row in report.rows:
        item, objects = row.item, row.objects
        known = objects is not None and objects.ids.size
        rows.append(
            (
                item.name,
                item.group,
                item.volume or "",
                "" if item.z is None else item.z,
                item.split or "",
                "x".join(map(str, item.shape)),
                item.dtype,
                item.labels_dtype or "",
                "" if objects is None else objects.ids.size,
                "" if objects is None else f"{objects.foreground:.6g}",
                f"{sorted(objects.sizes)[objects.sizes.size // 2]}" if objects is not None and known else "",
            )
        )
    _write_csv(folder / "images.csv", rows)
    findings = [(found.level, found.kind, found.item, found.text) for found in report.findings]
    _write_csv(folder / "findings.csv", [("level", "kind", "image", "text"), *findings])


def _write_csv(path: Path, rows: "Sequence[Sequence[object]]") -> None:
    import csv
    import io

    from autosam.images import write_text

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())
