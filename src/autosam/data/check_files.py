"""Files of a check of a store: tables of images and findings, and a contact sheet."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from autosam.data.check import CheckReport, ImageRow
from autosam.data.store import Store
from autosam.errors import InputError
from autosam.images import write_png, write_text
from autosam.report.contact_sheet import Panel, contact_sheet, legible_crop, thumbnail

_COLUMNS = (
    *("image", "group", "volume", "z", "part", "shape", "type", "labels_type"),
    *("objects", "foreground", "median_px"),
)


def write_check(folder: Path, store: Store, report: CheckReport, *, panels: int) -> tuple[Path, Path, Path]:
    """Write ``contact_sheet.png``, ``images.csv`` and ``findings.csv`` to a folder, and give their paths.

    The sheet has at most `panels` images. Up to half of them have findings; the others are spread evenly over the
    store.
    """
    sheet, images, findings = (folder / name for name in ("contact_sheet.png", "images.csv", "findings.csv"))
    write_png(sheet, contact_sheet(_panels(store, report, panels)))
    _write_csv(images, [_COLUMNS, *map(_image_row, report.rows)])
    rows = [(found.level, found.kind, found.item, found.text) for found in report.findings]
    _write_csv(findings, [("level", "kind", "image", "text"), *rows])
    return sheet, images, findings


def _image_row(row: ImageRow) -> Sequence[object]:
    item, objects = row.item, row.objects
    median = "" if objects is None or not objects.sizes.size else sorted(objects.sizes)[objects.sizes.size // 2]
    return (
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
        median,
    )


def _write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def _panels(store: Store, report: CheckReport, most: int) -> list[Panel]:
    kinds: dict[str, list[str]] = {}
    for finding in report.findings:
        kinds.setdefault(finding.item, []).append(finding.kind)
    faulty = {finding.item for finding in report.findings if finding.level == "fault"}
    panels = []
    for number in _chosen(store, report, faulty, most):
        item, row = store.items[number], report.rows[number]
        try:
            labels = None if item.labels_dtype is None else store.labels(item.name)
            crop = None if row.objects is None else legible_crop(item.shape, row.objects.sizes)
            picture = thumbnail(store.image(item.name), labels, crop=crop)
        except InputError:
            # The findings name it.
            continue
        found = 0 if row.objects is None else row.objects.ids.size
        objects = "no labels" if row.objects is None else f"{found:,} object{'' if found == 1 else 's'}"
        shown = "" if crop is None else f" · the middle {crop} px"
        lines = [item.name, f"{item.split or 'no part'} · {objects}{shown}"]
        if item.name in kinds:
            lines.append(", ".join(dict.fromkeys(kinds[item.name])))
        mark: Literal["fault", "warning"] = "fault" if item.name in faulty else "warning"
        panels.append(Panel(picture, tuple(lines), mark if item.name in kinds else None))
    return panels


def _chosen(store: Store, report: CheckReport, faulty: set[str], most: int) -> list[int]:
    """Choose positions in the store: images with findings of every kind, then others; in this order."""
    positions = {item.name: number for number, item in enumerate(store.items)}
    by_kind: dict[str, list[int]] = {}
    for finding in report.findings:
        if finding.item in positions:
            by_kind.setdefault(finding.kind, []).append(positions[finding.item])
    chosen: set[int] = set()
    for numbers in by_kind.values():
        chosen.update(_evenly(sorted(set(numbers) - chosen), max(1, most // 2 // len(by_kind))))
    # There may be more kinds than panels; faults come first.
    chosen = set(sorted(chosen, key=lambda number: store.items[number].name not in faulty)[:most])
    chosen |= set(_evenly([number for number in range(len(store)) if number not in chosen], most - len(chosen)))
    found = {finding.item for finding in report.findings}
    return sorted(chosen, key=lambda number: (store.items[number].name not in found, number))


def _evenly(numbers: list[int], most: int) -> list[int]:
    """Choose at most so many, evenly spread."""
    room = min(most, len(numbers))
    return [numbers[i * len(numbers) // room] for i in range(room)]
