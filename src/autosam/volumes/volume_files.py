"""The files of a run over a volume, and what became of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

TableFormat = Literal["csv", "parquet"]


@dataclass(frozen=True)
class VolumeFiles:
    """The files of a run; they lie side by side, named after the labels.

    Attributes
    ----------
    labels : Path
    table_format : {"csv", "parquet"}
        Of the table of instances.
    """

    labels: Path
    table_format: TableFormat = "csv"

    @property
    def _stem(self) -> str:
        name = self.labels.name
        for suffix in (".ome.zarr", ".ome.tiff", ".ome.tif"):
            if name.lower().endswith(suffix):
                return name[: -len(suffix)]
        return self.labels.stem

    def beside(self, ending: str) -> Path:
        """Give the place of another file of this run."""
        return self.labels.with_name(f"{self._stem}_{ending}")

    @property
    def record(self) -> Path:
        """The run record, which is written last."""
        return self.beside("run.json")

    @property
    def table(self) -> Path:
        """The table of instances."""
        return self.beside(f"objects.{self.table_format}")

    @property
    def slices(self) -> Path:
        """The table of instances and slices."""
        return self.beside("slices.parquet")

    @property
    def sheet(self) -> Path:
        """The picture to look at."""
        return self.beside("sheet.png")

    @property
    def tasks(self) -> Path:
        """The folder of the files of tasks, by which a rerun goes on."""
        return self.beside("tasks")

    @property
    def unfinished(self) -> Path:
        """The folder of labels that are not whole."""
        return self.tasks / "output"


@dataclass(frozen=True)
class VolumeResult:
    """What became of a volume.

    Attributes
    ----------
    files : VolumeFiles
    record : dict
        The run record; see docs/reference/files.
    finished_before : bool
        An earlier run had done all, and nothing was done now.
    """

    files: VolumeFiles
    record: dict[str, Any]
    finished_before: bool = False

    @property
    def instances(self) -> int:
        """Number of instances."""
        return int(self.record["instances"])


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the run record of a volume; None where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("kind") == "volume" else None
