"""Serving a project until somebody stops it."""

import errno
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from fewmasks.errors import ConfigError
from fewmasks.io.lock import held
from fewmasks.project import Project, open_project
from fewmasks.server import drafts
from fewmasks.server.accounts import has_users
from fewmasks.server.app import make_app
from fewmasks.server.desk import Desk
from fewmasks.server.sessions import Link
from fewmasks.server.shield import LOCAL

SECONDS_TO_FINISH = 3
"""For requests that are under way when the server is stopped."""


def serve(folder: Path, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the labelling page of a project; `say` gets the link, when it works."""
    project = open_project(folder)
    has_names = has_users(project.engine)
    if host not in LOCAL and not has_names:
        raise ConfigError(
            f"--host: {host} lets other computers in, and nobody has a password; first run "
            f"`fewmasks serve {folder} --add-user NAME --role owner`"
        )
    link = None if has_names else Link()
    with _alone(folder), _listen(host, port) as listening:
        drafts.sweep(project)
        server = _server(project, link)
        where = f"http://{_in_url(host)}:{listening.getsockname()[1]}/"
        say(where if link is None else f"{where}?token={link.token}")
        server.run(sockets=[listening])


def _alone(folder: Path) -> AbstractContextManager[None]:
    return held(
        folder / "server.lock",
        f"{folder}: is being served already; use that link, or stop the other one first",
    )


def _server(project: Project, link: Link | None) -> Any:
    import uvicorn

    desk = Desk(project, link, is_stopping=lambda: server.should_exit)
    settings = uvicorn.Config(
        make_app(desk),
        log_level=logging.WARNING,
        access_log=False,  # it would hold the token of the link
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
    )
    server = uvicorn.Server(settings)
    return server


def _listen(host: str, port: int) -> socket.socket:
    """A socket that accepts from now on, so that the link works as soon as it is printed."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=128)
    except (socket.gaierror, OverflowError):
        raise ConfigError(
            f"--host, --port: {host} port {port} is no address of this computer; use 127.0.0.1 "
            f"and a port from 1024 to 65535"
        ) from None
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise
        raise ConfigError(
            f"--port: {port} on {host} cannot be had ({error.strerror}); give another one, such "
            f"as --port {port + 1}"
        ) from None
    # Else the end of an answer waits 40 ms for the acknowledgement of its beginning.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
