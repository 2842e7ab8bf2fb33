"""The application: requests, errors as one sentence, and the shield around them."""

import errno
from collections.abc import Callable, Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from fewmasks import __version__
from fewmasks.errors import FewmasksError
from fewmasks.server import api, auth, label_studio, messages, monailabel, pages
from fewmasks.server.description import describing
from fewmasks.server.desk import Desk
from fewmasks.server.refusal import Refusal
from fewmasks.server.shield import Shield

Handler = Callable[[Request, Exception], Response]
# Nothing is recorded or sent anywhere, whatever the environment asks for.
SILENT: TelemetryConfig = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False,
    "auto_configure": False,
}  # fmt: skip


def make_app(desk: Desk) -> FastAPI:
    """The application of one project. On this computer alone it has a link instead of users."""
    app = FastAPI(
        title="fewmasks",
        version=__version__,
        description="The labelling page of one project.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # the page of FastAPI would be fetched from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses={"4XX": {"model": messages.Problem, "description": "refused, and why"}},
        telemetry=SILENT,
    )
    app.state.desk = desk
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.include_router(auth.router)
    app.include_router(api.router)
    app.include_router(monailabel.router)
    app.include_router(label_studio.router)
    for prefix in ("/api", "/monailabel", "/label-studio"):
        path = f"{prefix}/{{path:path}}"
        app.add_api_route(path, _nothing, methods=METHODS, include_in_schema=False)
    app.include_router(pages.router)
    app.add_middleware(Shield, only_local=desk.link is not None)
    app.openapi = describing(app)  # type: ignore[method-assign]
    return app


DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR
}  # fmt: skip
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


def _nothing(request: Request) -> Response:
    return _problem(404, f"{request.url.path}: there is nothing here; load the page again")


def _problem(status: int, sentence: str, more: Mapping[str, object] | None = None) -> Response:
    return JSONResponse({"detail": " ".join(sentence.split()), **(more or {})}, status)


def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, Refusal)
    answer = _problem(error.status, str(error), error.more)
    if "wait" in error.more:
        answer.headers["Retry-After"] = str(error.more["wait"])
    return answer


def _mendable(request: Request, error: Exception) -> Response:
    """What the library refuses: the sentence that the command line would print."""
    del request
    return _problem(409, str(error))


def _unwritten(request: Request, error: Exception) -> Response:
    """A disk that is full or not to be written to, which the page must not take for saved."""
    assert isinstance(error, OSError)
    if error.errno not in DISK:
        raise error
    return _problem(
        507,
        f"{request.url.path}: nothing was stored ({error.strerror}); make room or mend the folder "
        f"of the project, and it goes on by itself",
    )


def _locked(request: Request, error: Exception) -> Response:
    return _problem(
        503, f"{request.url.path}: the database refuses ({error}); nothing was stored, try again"
    )


def _broken(request: Request, error: Exception) -> Response:
    """Our fault: its traceback goes to the terminal."""
    name = type(error).__name__
    return _problem(500, f"{request.url.path}: a fault of fewmasks ({name}); see its terminal")


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return _problem(422, f"{request.url.path}: {where}: {first['msg']}; correct it")


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    plain = error.detail == phrase
    sentence = f"{request.url.path}: {phrase.lower()}" if plain else error.detail
    answer = _problem(error.status_code, sentence)
    answer.headers.update(error.headers or {})
    return answer


HANDLERS: dict[type[Exception], Handler] = {
    Refusal: _refused,
    FewmasksError: _mendable,
    RequestValidationError: _malformed,
    HTTPException: _of_http,
    OSError: _unwritten,
    OperationalError: _locked,
    Exception: _broken,
}
