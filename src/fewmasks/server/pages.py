"""The page itself: built files, and plain words where there are none."""

from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from fewmasks.server.auth import AtDesk, begin_by_link, is_signed_in, set_cookie

STATIC = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
"""For files whose names change with what they hold."""

router = APIRouter(include_in_schema=False)


@router.get("/{path:path}")
def page(request: Request, desk: AtDesk, path: str = "", token: str | None = None) -> Response:
    """A file of the page; the link signs in first; `/` for whatever the page itself routes."""
    if not path and token is not None:
        session = begin_by_link(desk, token)
        if session is None and not is_signed_in(request, desk):
            return _words(
                403,
                "This link was used already, or is not the newest one. Start <code>fewmasks serve"
                "</code> again: it prints another link.",
            )
        answer = RedirectResponse("/", status_code=303)
        if session is not None:
            set_cookie(request, answer, desk, session)
        return answer
    file = _files().get(path or "index.html")
    if file is not None:
        kept = FOREVER if path.startswith("assets/") else "no-cache"
        return FileResponse(file, headers={"Cache-Control": kept})
    if "." in path.rpartition("/")[2]:
        return _words(404, f"There is no file {escape(path)} here.")
    if "index.html" in _files():
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})
    return _words(
        503,
        "The labelling page is not built. In a checkout, run <code>make ui</code> (it needs Node "
        "20 or newer), or install a wheel of fewmasks, which brings the page along; then load "
        "this again. Files of masks can be given without it: <code>fewmasks label PROJECT --from "
        "FOLDER</code>.",
    )


def _files() -> dict[str, Path]:
    """What can be asked for: only what is there, so that no path leads elsewhere."""
    found = STATIC.rglob("*") if STATIC.is_dir() else ()
    return {path.relative_to(STATIC).as_posix(): path for path in found if path.is_file()}


def _words(status: int, text: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>fewmasks</title>'
        f'<body style="font: 1.1rem/1.5 system-ui; margin: 15vh auto; max-width: 36rem">'
        f"<h1>fewmasks</h1><p>{text}</p></body></html>",
        status,
    )
