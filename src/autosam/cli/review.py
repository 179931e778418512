"""`autosam review`: a page on which a person corrects results, by doubt or image by image."""

import socket
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autosam.cli import open_page
from autosam.cli.console import interruptible, note, result, say
from autosam.cli.interrupts import leaving_at_once
from autosam.cli.options import Device, ImagesPlace
from autosam.cli.progress import progress
from autosam.cli.words import count, file_size
from autosam.review.page import MOST_CROPS, MOST_PARTS

if TYPE_CHECKING:
    from autosam.review.page.make_review import ReviewOptions
    from autosam.review.page.review_page import ReviewPage
    from autosam.review.review_results import ReviewResults

NAME = "review.html"
"""The page in a folder of results, where no other name is given."""


def review(
    results: Path = typer.Argument(
        ..., metavar="RESULTS", help="A folder that autosam segment or autosam apply wrote.", show_default=False
    ),
    output: Path | None = typer.Option(
        None, "--output", "--out", "-o", metavar="FILE.html", help="The page. [RESULTS/review.html]"
    ),
    serve: bool = typer.Option(
        False,
        "--serve",
        help="Serve the page to a browser on this machine until Ctrl-C: SAM answers clicks at once, and every "
        "correction is saved in RESULTS/corrections.csv.",
    ),
    port: int = typer.Option(
        0,
        "--port",
        min=0,
        max=65_535,
        metavar="N",
        help="Port of the page that is served. [a free one]",
        show_default=False,
    ),
    no_browser: bool = typer.Option(
        False, "--no-browser", help="With --serve, print the address and open no browser."
    ),
    crops: int | None = typer.Option(
        None,
        "--crops",
        min=1,
        metavar="N",
        help=f"Show so many crops, or parts of whole images, at most. [{MOST_CROPS}, or {MOST_PARTS} parts]",
        show_default=False,
    ),
    whole_images: bool = typer.Option(
        False,
        "--whole-images",
        help="Show whole images, part by part, in place of what is doubtful. An image of which you called every "
        "part right has complete labels to learn from.",
    ),
    model: str | None = typer.Option(
        None,
        "--model",
        "-m",
        metavar="NAME|FILE",
        help="With --serve, the model that answers clicks. [that of the run, with its settings]",
    ),
    images: ImagesPlace = None,
    device: Device = "auto",
) -> None:
    """Make a page on which you correct results: what is most doubtful first, or image by image.

    Crops show what is doubtful and why, or parts of whole images. Accept, delete, merge, split, redraw or add
    objects by keys and clicks. The page works without a network, and saves corrections.csv for autosam apply. With
    --serve, nothing leaves this machine either: the page is served at 127.0.0.1, and its address holds a secret
    token. For a page on another machine, forward the port: ssh -L 8000:127.0.0.1:8000 MACHINE, and there
    --port 8000.
    """
    with leaving_at_once():
        from autosam.errors import ConfigError
        from autosam.review.review_results import ReviewResults

        opened = ReviewResults.open(results)
        if serve and output is not None:
            raise ConfigError("--output came with --serve, which writes no page; leave one of them out")
        if not serve and (port or model is not None or no_browser):
            raise ConfigError("--port, --model and --no-browser are about --serve; add it, or leave them out")
        listening: socket.socket | None = None
        if serve:
            from autosam.models.files.zoo import resolve_model
            from autosam.review.server.take_port import require_server, take_port

            require_server()
            if model is not None:
                resolve_model(model)
            listening = take_port(port)
        else:
            _check_place(results / NAME if output is None else output)

        # Slow imports only now: what is refused is answered at once.
        from autosam.review.page.make_review import ReviewOptions

    options = ReviewOptions(crops, images, device, whole_images)
    if listening is not None:
        with listening:
            _serve(opened, options, listening, model=model, browser=not no_browser)
    else:
        _write(opened, options, results / NAME if output is None else output)


def _check_place(path: Path) -> None:
    from autosam.errors import OutputError
    from autosam.review.page.review_page import REVIEW

    REVIEW.check_place(path)
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}; make it, or choose another --output")


def _write(opened: "ReviewResults", options: "ReviewOptions", path: Path) -> None:
    from autosam.review.page.review_page import write_review

    with interruptible("no page is written"):
        page = _look(opened, options)
        write_review(path, page)
    say(f"{_crops(page)} to review: {path} ({file_size(path.stat().st_size)}).")


def _serve(
    opened: "ReviewResults",
    options: "ReviewOptions",
    listening: socket.socket,
    *,
    model: str | None,
    browser: bool,
) -> None:
    """Serve the page and wait for Ctrl-C."""
    with leaving_at_once():
        from autosam.review.page.make_review import corrections_file
        from autosam.review.server.live_answers import LiveAnswers
        from autosam.review.server.serve_review import serve_review

    with interruptible("nothing is served"):
        page = _look(opened, options)
        answers = LiveAnswers(opened, model=model, images=options.images, device=options.device)
    try:
        with serve_review(opened, page, answers, listening) as url:
            say(f"{_crops(page)} to review, saved in {corrections_file(opened.folder)}. Ctrl-C ends it.")
            result(url)
            with open_page.open_page(url) if browser else nullcontext():
                open_page.wait()
    except KeyboardInterrupt:
        # This is how it ends.
        return


def _look(opened: "ReviewResults", options: "ReviewOptions") -> "ReviewPage":
    """Find what to look at, with a bar."""
    from autosam.review.page.make_review import make_review

    images = len(opened.images)
    with progress("cutting parts" if options.whole else "looking for doubts", 2 * images) as bar:
        before = {"looking for doubts": 0, "cutting crops": images}

        def tell(what: str, done: int, todo: int) -> None:
            bar.update(before[what] + done * images / todo)

        page = make_review(opened, options, progress=tell)
    for text in page.notes[:10]:
        note(text)
    return page


def _crops(page: "ReviewPage") -> str:
    more = f" of {len(page.crops) + page.hidden:,}" if page.hidden else ""
    return f"{count(len(page.crops), 'part' if page.whole else 'crop')}{more}"
