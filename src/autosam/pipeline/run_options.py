"""What decides whether the results of two runs may lie in one folder; known before torch is loaded."""

from pathlib import Path
from typing import Any, Protocol

from autosam.config import Config
from autosam.images.folder_listing import RUN_RECORD
from autosam.pipeline.claims import Claims
from autosam.pipeline.outputs import BatchOptions
from autosam.pipeline.record import RunRecord


class Hashed(Protocol):
    """Something that was given for all images, and its hash: user prompts, ground truth, areas."""

    @property
    def sha256(self) -> str:
        """Hash of all of it."""


def recorded_settings(config: Config) -> dict[str, Any]:
    """Give the settings that change results, as JSON values for the record."""
    return config.model_dump(mode="json", exclude={"training", "data"})


def recorded_options(
    options: BatchOptions, prompts: Hashed | None, truths: Hashed | None, inside: Hashed | None
) -> dict[str, Any]:
    """Say for the record what changes results beside the settings; None is what was not given."""
    return {
        "pixel_size_nm": options.pixel_size_nm,
        "diameter": options.diameter,
        "channels": options.channels,
        "selection": options.selection.record(),
        "draw_prompts": options.draw_prompts,
        "draw_ids": True if options.draw_ids else None,
        "save_prompts": options.save_prompts,
        "prompts_sha256": "" if prompts is None else prompts.sha256,
        "oracle_mask_sha256": None if truths is None else truths.sha256,
        "inside_sha256": None if inside is None else inside.sha256,
    }


def refuse_other_results(
    out: Path,
    config: Config,
    options: BatchOptions,
    *,
    model: str,
    model_sha256: str,
    prompts: Hashed | None = None,
    truths: Hashed | None = None,
    inside: Hashed | None = None,
) -> None:
    """Refuse a folder with results of another model or of other settings, as `segment_batch` does; write nothing.

    Raises
    ------
    ConfigError
        As `RunRecord.open`.
    """
    if options.overwrite or not (out / RUN_RECORD).is_file():
        return
    RunRecord.open(
        out,
        settings=recorded_settings(config),
        options=recorded_options(options, prompts, truths, inside),
        model=model,
        model_sha256=model_sha256,
        keep=True,
        busy=Claims(out).others,
        write=False,
    )
