"""Who asks: the session of a request, its rights, and the requests that begin and end one."""

import hashlib
from base64 import b64decode
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request, Response

from fewmasks.errors import ConfigError
from fewmasks.server.accounts import MAY_REVIEW, ME, Person, has_users, sign_in
from fewmasks.server.desk import Desk
from fewmasks.server.messages import Ready, SignedIn, SignIn
from fewmasks.server.refusal import Refusal
from fewmasks.server.sessions import (
    SESSION_SECONDS,
    begin_session,
    csrf_of,
    end_session,
    is_csrf,
    person_of,
)

router = APIRouter(prefix="/api", tags=["session"])


def _desk(request: Request) -> Desk:
    return request.app.state.desk


AtDesk = Annotated[Desk, Depends(_desk)]


def cookie_name(folder: Path) -> str:
    """What the cookie of a session at this project is called.

    Browsers keep one cookie of a name for all ports of a computer, so each project needs its own.
    """
    return f"fewmasks_session_{hashlib.sha256(bytes(folder.resolve())).hexdigest()[:12]}"


def _token(request: Request, desk: Desk) -> str:
    """The token of the browser's session here; empty where it sends none."""
    return request.cookies.get(cookie_name(desk.project.folder), "")


def _who(request: Request, desk: AtDesk) -> Person:
    token = _token(request, desk)
    person = person_of(desk.project.engine, token, desk.link is not None) if token else None
    if person is None:
        how = "with your name and password" if desk.link is None else (
            "with the link that `fewmasks serve` printed; it works once, so start it again for "
            "another one"
        )  # fmt: skip
        raise Refusal(401, f"session: not signed in, or no longer; sign in {how}")
    return person


Who = Annotated[Person, Depends(_who)]


def _changing(request: Request, desk: AtDesk, person: Who) -> Person:
    if not is_csrf(request.headers.get("X-CSRF-Token", ""), _token(request, desk)):
        raise Refusal(
            403, "session: the X-CSRF-Token is missing or of another session; load the page again"
        )
    return person


Changing = Annotated[Person, Depends(_changing)]


def refuse_training(person: Person) -> None:
    """Refuse who may neither train nor decide between two readings."""
    if person.role not in MAY_REVIEW:
        raise Refusal(
            403,
            f"session: {person.name} is {person.role}; ask a {' or '.join(MAY_REVIEW)} to train, "
            f"and to decide between two readings",
        )


def _reviewing(person: Who) -> Person:
    refuse_training(person)
    return person


Reviewing = Annotated[Person, Depends(_reviewing)]


def _training(person: Changing) -> Person:
    refuse_training(person)
    return person


Training = Annotated[Person, Depends(_training)]


def _bearer(request: Request, desk: AtDesk) -> Person:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    person = None
    if scheme.casefold() == "bearer" and token:
        person = person_of(desk.project.engine, token, desk.link is not None)
    if person is None:
        raise Refusal(401, f"session: no valid token; sign in {how_programs_sign_in(desk)}")
    return person


Bearer = Annotated[Person, Depends(_bearer)]
"""Somebody whose program sends a token itself, so that no other site can make it do so."""


def _bearer_training(person: Bearer) -> Person:
    refuse_training(person)
    return person


BearerTraining = Annotated[Person, Depends(_bearer_training)]


def how_programs_sign_in(desk: Desk) -> str:
    """How somebody signs in who does not use the page."""
    if desk.link is None:
        return "with your name and password"
    return (
        f"as {ME} with the token of the link that `fewmasks serve` printed (it works once, here or "
        f"on the page), or run `fewmasks serve --add-user` for names and passwords"
    )


def begin_for_program(request: Request, desk: Desk, name: str, password: str) -> str:
    """The token of a new session, by name and password or by the token of the link."""
    address = request.client.host if request.client else ""
    desk.attempts.begin(address, name)
    if desk.link is None:
        person = sign_in(desk.project.engine, name, password)
        token = None if person is None else begin_session(desk.project.engine, person.name)
    else:
        token = begin_by_link(desk, password) if name == ME else None
    if token is None:
        raise Refusal(
            401, f"sign in: no such name and password; sign in {how_programs_sign_in(desk)}"
        )
    desk.attempts.succeed(address, name)
    return token


def _program(request: Request, desk: AtDesk) -> Person:
    """By a token, or by a name and a password with every request.

    A password is slow to check, so it begins a session, which ends when the password changes.
    """
    said = request.headers.get("Authorization", "")
    scheme, _, given = said.partition(" ")
    if scheme.casefold() != "basic":
        return _bearer(request, desk)
    known = hashlib.sha256(said.encode()).hexdigest()
    token = desk.by_password.get(known, "")
    person = person_of(desk.project.engine, token, desk.link is not None)
    if person is None:
        name, password = _decoded(given)
        token = desk.by_password[known] = begin_for_program(request, desk, name, password)
        person = person_of(desk.project.engine, token, desk.link is not None)
    if person is None:
        raise Refusal(401, "session: the password was just changed; sign in with the new one")
    return person


Program = Annotated[Person, Depends(_program)]


def _decoded(given: str) -> tuple[str, str]:
    try:
        name, colon, password = b64decode(given, validate=True).decode().partition(":")
    except ValueError:  # also where it is no UTF-8
        colon = ""
    if not colon:
        raise Refusal(401, "session: the name and password are damaged; send them as Basic")
    return name, password


def _row(id: str, desk: AtDesk, person: Who) -> int:
    """The row of an item whose id stands in the path, percent-encoded."""
    del person  # nobody is told which ids there are without signing in
    try:
        return row_of(desk, unquote(id, errors="strict"))
    except UnicodeDecodeError:
        raise Refusal(404, f"items: {id} is no UTF-8; encode the id as a browser does") from None


def row_of(desk: Desk, name: str) -> int:
    """The row of an item; ids go through the pool and never touch the file system."""
    try:
        return int(desk.project.pool.rows([name])[0])
    except ConfigError as error:
        raise Refusal(404, str(error)) from None


ItemRow = Annotated[int, Depends(_row)]


@router.get("/ready")
def ready(desk: AtDesk) -> Ready:
    """What the sign-in page has to know; asked before anybody is signed in."""
    return Ready(name=desk.project.folder.resolve().name, users=desk.link is None)


@router.get("/session")
def session(request: Request, desk: AtDesk, person: Who) -> SignedIn:
    """Who is signed in."""
    return _signed_in(desk, person, _token(request, desk))


@router.post("/session")
def begin(request: Request, response: Response, desk: AtDesk, given: SignIn) -> SignedIn:
    """Sign in by name and password."""
    address = request.client.host if request.client else ""
    desk.attempts.begin(address, given.name)
    person = sign_in(desk.project.engine, given.name, given.password)
    if person is None or not has_users(desk.project.engine):
        raise Refusal(401, "sign in: no such name and password; try again")
    desk.attempts.succeed(address, given.name)
    token = begin_session(desk.project.engine, person.name)
    set_cookie(request, response, desk, token)
    return _signed_in(desk, person, token)


@router.delete("/session", status_code=204)
def end(request: Request, response: Response, desk: AtDesk, person: Changing) -> None:
    """Sign out."""
    del person
    end_session(desk.project.engine, _token(request, desk))
    response.delete_cookie(cookie_name(desk.project.folder), httponly=True, samesite="strict")


def begin_by_link(desk: Desk, token: str) -> str | None:
    """A session of the person at this computer; None where the link is wrong or was used."""
    if desk.link is None or not desk.link.use(token):
        return None
    return begin_session(desk.project.engine, ME)


def is_signed_in(request: Request, desk: Desk) -> bool:
    """Whether this browser has a session that counts."""
    token = _token(request, desk)
    known = token and person_of(desk.project.engine, token, desk.link is not None)
    return bool(known)


def set_cookie(request: Request, response: Response, desk: Desk, token: str) -> None:
    """Give the browser the token, where no script can read it and no other site can use it."""
    response.set_cookie(
        cookie_name(desk.project.folder),
        token,
        max_age=int(SESSION_SECONDS),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _signed_in(desk: Desk, person: Person, token: str) -> SignedIn:
    return SignedIn(
        user=person.name, role=person.role, csrf=csrf_of(token), users=desk.link is None
    )
