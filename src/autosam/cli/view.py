"""`autosam view`: labels over their volume, in a browser."""

from contextlib import nullcontext
from typing import TYPE_CHECKING

import typer

from autosam.cli import open_page
from autosam.cli.console import note, say
from autosam.cli.interrupts import leaving_at_once

if TYPE_CHECKING:
    from autosam.volumes.volume_source import VolumeSource


def view(
    labels: str = typer.Argument(
        ...,
        metavar="LABELS",
        help="What autosam volume or autosam link wrote, or other labels: OME-Zarr, Zarr, TIFF, FILE.h5:/DATASET.",
        show_default=False,
    ),
    image: str | None = typer.Option(
        None, "--image", metavar="VOLUME", help="What is shown below. [the volume that the run record names]"
    ),
    port: int = typer.Option(
        0,
        "--port",
        min=0,
        max=65_534,
        metavar="N",
        help="Port of the page; files are served at the next one. [free ones]",
        show_default=False,
    ),
    no_browser: bool = typer.Option(False, "--no-browser", help="Print the address and open no browser."),
) -> None:
    """Look at a volume and its instances in Neuroglancer, until Ctrl-C.

    Slices along three axes, and the surfaces of the 500 largest instances. Everything stays on this machine: the
    page is served at 127.0.0.1. NAME_neuroglancer.json holds what is shown. For a page on another machine, forward
    two ports: ssh -L 8000:127.0.0.1:8000 -L 8001:127.0.0.1:8001 MACHINE, and there --port 8000.
    """
    show(labels, image, port=port, browser=not no_browser)


def show(labels: str, image: "str | VolumeSource | None", *, port: int = 0, browser: bool = True) -> None:
    """Serve a page and wait for Ctrl-C; `autosam volume --neuroglancer` does it after a run."""
    with leaving_at_once():
        from autosam.errors import OutputError
        from autosam.images.write import write_json
        from autosam.volumes.view_server import recorded_source, serve_view, state_file

        below = recorded_source(labels) if image is None else image
    try:
        with serve_view(labels, below, port=port) as page:
            if below is None:
                note("the labels are shown alone; give their volume with --image")
            try:
                write_json(state_file(labels), page.state)
            except OutputError as error:
                note(f"the state of the viewer is not kept: {error}")
            say(f"{page.url}\nCtrl-C ends it.")
            with open_page.open_page(page.url) if browser else nullcontext():
                open_page.wait()
    except KeyboardInterrupt:
        # This is how it ends.
        return
