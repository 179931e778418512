"""A folder that `autosam segment` wrote, and the model and settings that made it, ready to do it again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosam.config.old_names import RECORD_FIELDS, renamed, renamed_settings
from autosam.errors import InputError, ModelError
from autosam.images import ImageSource, find_sources
from autosam.images.folder_listing import RUN_RECORD
from autosam.images.label_names import without_suffix
from autosam.images.readers import EVERYTHING, Selection
from autosam.models.files.file_hash import file_sha256
from autosam.models.files.zoo import resolve_model
from autosam.pipeline.segmenter import Segmenter

_MADE_BY_SETTINGS = ("images", "tiles", "prompts", "decode", "merge")


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """What made the labels in a folder.

    Attributes
    ----------
    model, model_sha256 : str
        The model as the run named it, and the hash of its file.
    segmenter : Segmenter
        That model with the settings of the run.
    images : mapping of str to mapping
        The record's entry of each image that was segmented, by name.
    selection : Selection
        Which channel and level of each file the run took.
    """

    folder: Path
    model: str
    model_sha256: str
    segmenter: Segmenter
    images: Mapping[str, Mapping[str, Any]]
    selection: Selection = EVERYTHING

    def source_of(self, labels: str) -> tuple[ImageSource, float]:
        """Find the image that a label file was made from, and how much it was zoomed.

        Raises
        ------
        InputError
            If the record does not name it or an earlier run made it, or it is gone, or it was a multichannel image
            of several files.
        """
        file = Path(labels)
        stem = without_suffix(file.name).removesuffix("_labels")
        # The record names images of a tree with their folders.
        inner = file.parent.relative_to(self.folder) if file.parent.is_relative_to(self.folder) else Path()
        name = (inner / stem).as_posix()
        entry = self.images.get(name)
        if entry is None or "error" in entry:
            raise InputError(
                f"{self.folder / RUN_RECORD} does not say which image the last run made {labels} from; segment it "
                "again into this folder, or leave it out with --list"
            )
        origin = str(entry["input"])
        page = re.fullmatch(r"(.+)\[\d+\]", origin)
        place = page[1] if page is not None and not Path(origin).exists() else origin
        if " + " in origin and not Path(place).exists():
            raise InputError(
                f"{name} was segmented from several channels ({origin}); --diagnose takes runs of one image each"
            )
        try:
            found = [source for source in find_sources([place], self.selection) if str(source) == origin]
        except InputError as error:
            raise InputError(f"the image that {labels} was made from is gone: {error}") from error
        if not found:
            raise InputError(f"the image that {labels} was made from is gone: there is no {origin} any more")
        return found[0], float(entry.get("zoom", 1.0))


def open_run(folder: Path, *, device: str = "auto") -> RecordedRun:
    """Read the run record in a folder of ``autosam segment``, and load its model with its settings.

    Raises
    ------
    InputError
        If there is no record or a damaged one, or the run used prompts or an oracle from outside the model.
    ModelError
        If the model file is gone, or is another one now.
    ConfigError
        If this version of autosam does not know one of the settings.
    """
    path = folder / RUN_RECORD
    if not path.is_file():
        raise InputError(
            f"{folder} holds no {RUN_RECORD}, which says what model made its labels; give --diagnose a folder "
            "that autosam segment wrote"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        model, wanted = str(record["model"]), str(record["model_sha256"])
        options = dict(record["options"])
        selection = Selection(**(options.get("selection") or {}))
        # What earlier runs made with other settings cannot be repeated with those of the last one.
        last = record.get("run", 1)
        images = {
            name: renamed(entry, RECORD_FIELDS)
            for name, entry in record["images"].items()
            if entry.get("run", last) == last
        }
        known = renamed_settings(record["settings"])
        settings = {section: dict(known[section]) for section in _MADE_BY_SETTINGS}
        method = settings["prompts"]["method"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the run record {path} is damaged; segment the images again") from error
    outside = {
        "user prompts": options.get("prompts_sha256") or method == "user",
        "the truth to choose masks (--oracle-mask)": options.get("oracle_mask_sha256"),
        "several channels of one image (--channels)": options.get("channels"),
    }
    for what, used in outside.items():
        if used:
            raise InputError(
                f"the run in {folder} used {what}, which --diagnose cannot repeat with the model alone; give it "
                "a run with automatic prompts on single images"
            )
    try:
        file = resolve_model(model)
    except ModelError as error:
        raise ModelError(
            f"the model {model} that made {folder} is gone; put it back (its sha256 is {wanted}), or segment the "
            "images again"
        ) from error
    there = file_sha256(file)
    if there != wanted:
        raise ModelError(
            f"the model {model} is not the one that made {folder}: its sha256 is {there}, that of the run was "
            f"{wanted}; segment the images again"
        )
    segmenter = Segmenter.from_model(model, overrides=_overrides(settings), device=device)
    return RecordedRun(folder, model, wanted, segmenter, images, selection)


def _overrides(settings: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    """Write settings as ``section.key=value``; JSON is YAML."""
    return [
        f"{section}.{key}={json.dumps(value)}" for section, own in settings.items() for key, value in own.items()
    ]
