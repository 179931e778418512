"""Serving the review page to a browser on this machine."""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from autosam.review.page.make_review import corrections_file
from autosam.review.page.review_page import ReviewPage, render_review
from autosam.review.review_results import ReviewResults
from autosam.review.server.take_port import require_server
from autosam.volumes.file_server import HOST

if TYPE_CHECKING:
    from autosam.review.server.live_answers import LiveAnswers

PATIENCE = 5
"""Seconds that an answer may still take when the server ends."""


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
        ws="none",
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
