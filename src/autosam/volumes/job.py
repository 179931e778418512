"""A job: everything that a task of a volume needs, on this machine or another one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosam import __version__
from autosam.config import Config
from autosam.volumes.contrast import Contrast
from autosam.volumes.volume_grid import TaskPlan, VolumeGrid, VolumeTask
from autosam.volumes.volume_source import VolumeSource

if TYPE_CHECKING:
    from autosam.pipeline.batch_workers import ModelChoice

FORMAT = 1
"""Of the files of tasks; files of another one are not read."""


@dataclass(frozen=True)
class VolumeJob:
    """What all tasks of a run have in common; it can be sent to other processes.

    Attributes
    ----------
    source : VolumeSource
    model : ModelChoice or None
        None where no network is asked.
    device : str
    settings : Config
        Resolved.
    contrast : Contrast
    zoom : float
        How many times larger the networks see every slice, on top of ``images.zoom``.
    folder : Path
        Where the files of tasks lie.
    keys : mapping of str to str
        For each pass, a hash of all that its files depend on; see `make_keys`.
    """

    source: VolumeSource
    model: "ModelChoice | None"
    device: str
    settings: Config
    contrast: Contrast
    zoom: float
    folder: Path
    keys: Mapping[str, str]

    @cached_property
    def grid(self) -> VolumeGrid:
        """The tiles."""
        volume = self.settings.volume
        return VolumeGrid(self.source.shape, volume.window, volume.overlap)

    @cached_property
    def plan(self) -> TaskPlan:
        """The tasks."""
        return TaskPlan(self.grid, self.settings.volume.slab, self.settings.volume.tile)

    @property
    def fills(self) -> bool:
        """Whether gaps are filled."""
        return self.settings.volume.fill != "none"

    def path(self, step: str, task: VolumeTask, kind: str = "objects") -> Path:
        """Name the file that a pass writes for a task."""
        return self.folder / f"{step}-{self.keys[step]}" / f"{task.name}.{kind}.parquet"


def make_keys(*, volume: str, model: str, settings: Config, contrast: Contrast, zoom: float) -> dict[str, str]:
    """Hash what the files of each pass depend on, so that a rerun finds them and never takes those of another run.

    Parameters
    ----------
    volume : str
        Fingerprint of the source.
    model : str
        Hash of the model file; empty without one.
    """
    told = settings.model_dump(mode="json")
    own = dict(told["volume"])
    # These change no result, so that a rerun with others goes on; the names of files tell the tasks apart.
    del own["slab"], own["tile"]
    seen = {name: own.pop(name) for name in ("window", "overlap")}
    sections = {name: told[name] for name in ("images", "tiles", "prompts", "decode", "merge")}
    # Another version may find other objects.
    basis = [FORMAT, __version__, volume, model, sections, seen, contrast.z, contrast.dark, contrast.bright, zoom]
    if contrast.stain is not None:
        basis.append(asdict(contrast.stain))
    segment = short_hash(basis)
    linked = short_hash([segment, own])
    return {"segment": segment, "link": linked, "fill": linked, "seams": linked, "unite": linked}


def short_hash(value: Any) -> str:
    """Hash a value of JSON: 12 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
