"""Options that several commands have in common."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", metavar="NAME|FILE", help="A bundled model (autosam models list) or a model file."
    ),
]
ConfigFile = Annotated[
    str | None,
    typer.Option("--config", "-c", metavar="NAME|FILE", help="YAML file of settings, or a bundled one."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting, such as merge.min_size=100. May be repeated; autosam settings lists all.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 ...")]
ImagesPlace = Annotated[
    str | None,
    typer.Option(
        "--images",
        metavar="PLACE",
        help="The images, by name: a file or a folder. [where the run record says]",
    ),
]
Channel = Annotated[
    str | None,
    typer.Option(
        "--channel",
        metavar="N|NAME",
        help="Take one channel of multichannel files: its number from 0, or its name.",
    ),
]
LabeledData = Annotated[
    Path, typer.Argument(metavar="DATA", help="Labeled images: a folder or a store.", show_default=False)
]
StorePath = Annotated[
    Path, typer.Argument(metavar="STORE", help="A store made by autosam data import.", show_default=False)
]
OmeVersionOption = Annotated[str, typer.Option("--ome-version", metavar="0.5|0.4", help="Version of OME-Zarr.")]


def ome_version_of(text: str) -> Literal["0.4", "0.5"]:
    """Check a version of OME-Zarr; another one is a `ConfigError`."""
    from autosam.errors import ConfigError

    if text not in ("0.4", "0.5"):
        raise ConfigError(f"--ome-version is {text!r}; choose 0.5 or 0.4.")
    return "0.4" if text == "0.4" else "0.5"
