"""`autosam data check`: a table of what a store holds and of what is wrong with it, and a contact sheet."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli.console import result, say, table
from autosam.cli.options import StorePath
from autosam.cli.progress import progress
from autosam.cli.words import count

if TYPE_CHECKING:
    from rich.table import Table

    from autosam.data.check import CheckReport, ImageRow
    from autosam.data.findings import Finding
    from autosam.data.store import Store


def check(
    store: StorePath,
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="FOLDER", help="Folder for the results. [STORE_check beside the store]"
    ),
    alike: float = typer.Option(
        0.65, min=0, max=1, metavar="R", help="Correlation above which images of two parts look alike."
    ),
    panels: int = typer.Option(
        24, min=1, metavar="N", help="Images on the contact sheet, those with findings first."
    ),
) -> None:
    """Look for anything that would spoil training or scores.

    Faults are unreadable files, sizes and types other than those of the manifest, NaN, labels that fit a
    neighboring image better than their own, and one image in two parts. All else is a warning. The exit status
    is 1 if there are faults, and 0 otherwise.
    """
    from autosam.data.check import check_store
    from autosam.data.check_files import write_check
    from autosam.data.store import Store
    from autosam.images import ensure_folder

    opened = Store.open(store)
    folder = ensure_folder(output or store.with_name(f"{store.stem}_check"))
    with progress("checking", len(opened)) as bar:
        report = check_store(opened, alike=alike, look=lambda item, image, labels: bar.advance())
    _print_contents(opened, report)
    _print_findings(report)
    say(f"Written: {', '.join(map(str, write_check(folder, opened, report, panels=panels)))}")
    if report.faults:
        raise typer.Exit(1)


def _print_contents(store: "Store", report: "CheckReport") -> None:
    manifest, items = store.manifest, store.items
    sizes = Counter(f"{' × '.join(map(str, item.shape))} {item.dtype}" for item in items)
    common = ", ".join(f"{number} of {size}" for size, number in sizes.most_common(4))
    more = f" and {len(sizes) - 4} more sizes" if len(sizes) > 4 else ""
    # Lone images have no depth.
    voxel = " × ".join(f"{n:g}" for n in manifest.voxel_size_nm or () if n > 0)
    types = ", ".join(sorted({item.labels_dtype for item in items if item.labels_dtype is not None}))
    where = f" in {count(len(store.volumes), 'volume')}" if store.volumes else ""
    result(
        f"{store.path}: {count(len(store), 'image')}{where}: {common}{more}",
        f"source {manifest.source}; {f'voxels of {voxel} nm' if voxel else 'voxel size not known'}; "
        f"license {manifest.license}",
        f"labels {types or 'none'}; ids hold in {manifest.ids}; instances: {manifest.instances}",
        _parts(report.rows),
    )
    for name, objects in list(report.volumes.items())[:10]:
        if objects.sizes.size:
            result(
                f"volume {name}: {objects.sizes.size:,} whole objects of {objects.sizes.min():,} to "
                f"{objects.sizes.max():,} voxels"
            )


def _parts(rows: "Sequence[ImageRow]") -> "Table":
    from rich.text import Text

    from autosam.data.shares import shares

    parts = table("", "images", "empty", "objects", "foreground", "size 5 %", "median", "95 % (px)")
    for row in shares(rows):
        parts.add_row(
            Text(row.name),
            *(f"{number:,}" for number in (row.images, row.empty, row.objects)),
            _number(100 * row.foreground, " %", ".1f"),
            *(_number(size, "", ",.0f") for size in row.sizes),
        )
    return parts


def _print_findings(report: "CheckReport") -> None:
    from rich.text import Text

    if not report.findings:
        result("No faults, no warnings.")
        return
    kinds = table("level", "what", "times", "such as", left=("what", "such as"), fold="such as")
    by_kind: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        by_kind.setdefault((finding.level, finding.kind), []).append(finding)
    for (level, kind), found in by_kind.items():
        examples = [f"{example.item}: {example.text}" if example.item else example.text for example in found[:3]]
        style = "red" if level == "fault" else "yellow"
        kinds.add_row(Text(level, style), kind, f"{len(found):,}", Text("\n".join(examples)))
    warnings = len(report.findings) - report.faults
    result(kinds, f"{count(report.faults, 'fault')}, {count(warnings, 'warning')}.", fold=True)


def _number(value: float, unit: str, form: str) -> str:
    return "–" if value != value else f"{value:{form}}{unit}"
