"""What every request passes before anything looks at it, and what every answer carries."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = ("GET", "HEAD", "OPTIONS")
LOCAL = ("127.0.0.1", "localhost", "::1")
MOST_JSON_BYTES = 64 * 1024
MOST_BYTES = 2**30
WITH_PIXELS = (
    "/draft", "/tools/random-walker", "/tools/snap", "/monailabel/datastore/label",
)  # fmt: skip
"""Ends of paths that take a picture, whose size is bounded by its item's or its file's."""
MOST_TASK_BYTES = 32 * 2**20
WITH_TASKS = ("/label-studio/predict", "/label-studio/webhook")
"""Paths that take strokes, packed."""
FOR_PROGRAMS = ("/monailabel/", "/label-studio/")
"""Paths where programs sign each request themselves; unlike browsers they name no origin."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Shield:
    """Refuses what comes from other sites or is too long, and forbids other sites to frame us."""

    app: ASGIApp
    only_local: bool
    """Answer only to names of this computer: an evil site may give its own name our address."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    found.setdefault(name, value)
                if scope["path"].startswith(("/api", *FOR_PROGRAMS)):
                    found.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self._refuse(scope, headers)
        if refused is not None:
            await refused(scope, receive, answer)
            return
        await self.app(_keep_ids_whole(scope), _bounded(scope, receive), answer)

    def _refuse(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if self.only_local and (urlsplit(f"//{host}").hostname or "") not in LOCAL:
            return _refusal(
                421, f"host: this server answers at {', '.join(LOCAL)} ({host!r}); open that"
            )
        if scope["method"] not in SAFE and not _is_from_here(scope, headers):
            return _refusal(
                403,
                f"origin: changes come from the page itself (this came from "
                f"{headers.get('origin', 'nowhere')!r}); open {host}",
            )
        length = headers.get("content-length", "0")
        if not length.isdigit() or (len(length) > 12 or int(length) > _most(scope)):
            return _refusal(413, _too_long(f"{length[:20]} bytes"))
        return None


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status)


def _is_from_here(scope: Scope, headers: Headers) -> bool:
    """Whether a change comes from the page, or from a program that is no browser."""
    origin = headers.get("origin")
    if origin is None:
        return scope["path"].startswith(FOR_PROGRAMS)
    return urlsplit(origin).netloc == headers.get("host", "")


def _has_pixels(scope: Scope) -> bool:
    return scope["path"].endswith(WITH_PIXELS)


def _most(scope: Scope) -> int:
    if _has_pixels(scope):
        return MOST_BYTES
    return MOST_TASK_BYTES if scope["path"] in WITH_TASKS else MOST_JSON_BYTES


def _too_long(length: str) -> str:
    return f"request: {length} are more than it can need; send less"


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """The body, as long as it is short; one with pixels is bounded where its item is known."""
    if _has_pixels(scope):
        return receive
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > _most(scope):
            raise HTTPException(413, _too_long(f"{seen} bytes"))
        return message

    return bounded


def _keep_ids_whole(scope: Scope) -> Scope:
    """The path as it was sent: an id with a slash in it is one segment, and stays so."""
    raw = scope.get("raw_path")
    if raw is None or not scope["path"].startswith("/api/"):
        return scope
    return {**scope, "path": raw.partition(b"?")[0].decode("ascii", errors="replace")}
