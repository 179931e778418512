"""The review page's server: who may ask, and what is answered."""

import json
import secrets
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from autosam.errors import AutosamError
from autosam.review.corrections import LONGEST_MASK, Correction
from autosam.review.drawn_mask import mask_text
from autosam.review.server.live_answers import LiveAnswers
from autosam.review.server.read_correction import RefusedError, read_correction
from autosam.review.server.save_corrections import SavedCorrections

HOSTS = ("127.0.0.1", "localhost")
"""Names of this machine under which the page may be opened; a port that ssh forwards has them, too."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets a request pass that has the token, names this machine, and comes from no page of others.

    The name of the machine is checked, for a page elsewhere can give its own name this machine's address.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    token : str
        First part of the path.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with 403, or let it pass."""
        if scope["type"] == "http":
            fault = self._fault(Request(scope))
            if fault:
                await PlainTextResponse(f"refused: {fault}\n", 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _fault(self, request: Request) -> str:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        given = str(request.scope["path"]).partition("/")[2].partition("/")[0].encode()
        if not secrets.compare_digest(given, self._token):
            return "the address lacks the token; take the one that autosam review prints"
        if _name_of(host) not in HOSTS:
            return f"this is not the host {host}"
        if origin is not None and origin != f"http://{host}":
            return f"a page of {origin} has no say here"
        return ""


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


class ReviewApp:
    """What the page asks.

    Parameters
    ----------
    render : callable
        Gives the page with the corrections that stand.
    saved : SavedCorrections
    answers : LiveAnswers
    """

    def __init__(
        self, render: Callable[[list[Correction]], str], saved: SavedCorrections, answers: LiveAnswers
    ) -> None:
        self._render, self._saved, self._answers = render, saved, answers
        # A thread of its own, for questions that wait for SAM can take up all others.
        self._saver = ThreadPoolExecutor(1, "autosam-save")

    def application(self, token: str) -> Starlette:
        """Give the application, guarded by a token."""
        return Starlette(
            routes=[
                Route(f"/{token}/", self._page),
                Route(f"/{token}/corrections", self._save, methods=["POST"]),
                Route(f"/{token}/answer", self._answer, methods=["POST"]),
                Route(f"/{token}/prepare", self._prepare, methods=["POST"]),
            ],
            middleware=[Middleware(Guard, token=token)],
        )

    async def _page(self, request: Request) -> Response:
        try:
            text = await run_in_threadpool(lambda: self._render(self._saved.read()))
        except AutosamError as error:
            return PlainTextResponse(f"{error}\n", 409, HEADERS)
        return HTMLResponse(text, headers=HEADERS)

    async def _save(self, request: Request) -> Response:
        run = get_running_loop().run_in_executor
        return await self._reply(request, lambda sent: run(self._saver, self._saving, sent))

    def _saving(self, sent: Any) -> dict[str, Any]:
        added = [read_correction(one) for one in sent["add"]]
        return {"ids": self._saved.save(added, frozenset(map(str, sent["undo"])))}

    async def _answer(self, request: Request) -> Response:
        return await self._reply(request, lambda sent: run_in_threadpool(self._asking, sent))

    def _asking(self, sent: Any) -> dict[str, Any]:
        question = _question(sent)
        if not self._answers.loaded:
            return {"loading": True}
        found = self._answers.answer(question)
        if found is None:
            return {"nothing": True}
        mask = mask_text(found.mask, row=found.row, col=found.col)
        # What is too long for a cell is asked again when the corrections are applied.
        return {"mask": mask, "kept": len(mask) <= LONGEST_MASK, "score": f"{found.score:.2f}"}

    async def _prepare(self, request: Request) -> Response:
        return await self._reply(request, lambda sent: run_in_threadpool(self._preparing, sent))

    def _preparing(self, sent: Any) -> dict[str, Any]:
        # SAM sees the window in which a click in the middle would be answered.
        self._answers.prepare(_question({**sent, "points": [sent["point"]], "labels": [1]}))
        return {}

    async def _reply(self, request: Request, answer: Callable[[Any], Awaitable[dict[str, Any]]]) -> Response:
        """Answer in JSON; what is refused is no failure of the server."""
        try:
            sent = json.loads(await request.body())
            return JSONResponse(await answer(sent), headers=HEADERS)
        except (ValueError, KeyError, TypeError):
            return PlainTextResponse("wanted JSON as the page sends it\n", 400, HEADERS)
        except AutosamError as error:
            # Whatever else fails can succeed when it is asked again.
            refused = isinstance(error, RefusedError)
            return JSONResponse({"error": f"{error}.", "refused": refused}, 409, HEADERS)


def _question(sent: Any) -> Correction:
    """Read what SAM is asked: a correction that draws."""
    return read_correction({**sent, "action": "redraw" if sent.get("objects") else "add", "by": "sam", "mask": ""})
