"""Serving the review page to a browser on this machine."""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from autosam.errors import ConfigError
from autosam.review.page.make_review import corrections_file
from autosam.review.page.review_page import ReviewPage, render_review
from autosam.review.review_results import ReviewResults
from autosam.volumes.file_server import HOST, port_error

if TYPE_CHECKING:
    from autosam.review.server.live_answers import LiveAnswers

PATIENCE = 5
"""Seconds that an answer may still take when the server ends."""


def require_server() -> None:
    """Say how to get the packages of the server, if they are missing.

    Raises
    ------
    ConfigError
        If one is not there.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--serve needs the package {error.name}; pip install 'autosam[review]', or leave --serve out"
        ) from None


def take_port(port: int) -> socket.socket:
    """Listen at a port of this machine alone; 0 takes a free one.

    Raises
    ------
    ConfigError
        If it is in use.
    """
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise port_error(port, error) from error


@contextmanager
def serve_review(
    results: ReviewResults, page: ReviewPage, answers: "LiveAnswers", listening: socket.socket
) -> Iterator[str]:
    """Serve a page until the block ends; gives its address, which holds a random token.

    Corrections go to the file that `corrections_file` names. Requests without the token, from pages of others, or
    under another name of this machine are refused with status 403.

    Parameters
    ----------
    answers : LiveAnswers
        Its models are loaded from now on.
    listening : socket
        From `take_port`; it is closed at the end.

    Raises
    ------
    ConfigError
        If the packages of the server are missing.
    """
    require_server()
    import uvicorn

    from autosam.review.server.review_app import ReviewApp
    from autosam.review.server.save_corrections import SavedCorrections

    path, token = corrections_file(results.folder), secrets.token_urlsafe(24)
    app = ReviewApp(
        lambda standing: render_review(replace(page, corrections=tuple(standing)), saved_as=str(path)),
        SavedCorrections(results, path),
        answers,
    )
    config = uvicorn.Config(
        app.application(token),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=PATIENCE,
    )
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, args=([listening],), name="autosam-review")
    with listening:
        answers.load()
        serving.start()
        try:
            yield f"http://{HOST}:{listening.getsockname()[1]}/{token}/"
        finally:
            server.should_exit = True
            serving.join()
