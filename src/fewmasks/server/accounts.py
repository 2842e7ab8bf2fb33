"""Who may sign in: names, roles, and passwords that are kept as Argon2 hashes alone."""

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine, func, select

from fewmasks.errors import ConfigError, MissingExtra
from fewmasks.project.schema import session, user, writing
from fewmasks.server.clock import moment

Role = Literal["annotator", "reviewer", "owner"]
ROLES: tuple[Role, ...] = get_args(Role)
MAY_REVIEW: tuple[Role, ...] = ("reviewer", "owner")
"""Those who train, and who decide between two readings."""

ME = "me"
"""The person at this computer, who signs in by the link."""
SHORTEST, LONGEST = 8, 1024
"""Of passwords; a longer one would only keep the server busy."""
LONGEST_NAME = 64

# A hash takes 64 MiB and tens of milliseconds: one at a time, or sign-ins could exhaust both.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Person:
    """Somebody who is known."""

    name: str
    role: Role


def add_user(engine: Engine, name: str, role: Role, password: str) -> None:
    """Make a user; one who exists gets the new role and password, and is signed out everywhere."""
    _check(name, role, password)
    with _one_at_a_time:
        hashed = _hasher().hash(password)
    with writing(engine).begin() as connection:
        connection.execute(session.delete().where(session.c.user == name))
        given = {"role": role, "password": hashed}
        changed = connection.execute(user.update().where(user.c.name == name), given)
        if not changed.rowcount:
            connection.execute(user.insert(), {"name": name, "created": moment(), **given})


def add_me(connection: Connection) -> Person:
    """The person at this computer, made at the first sign-in."""
    if connection.scalar(select(user.c.name).where(user.c.name == ME)) is None:
        connection.execute(user.insert(), {"name": ME, "role": "owner", "created": moment()})
    return Person(ME, "owner")


def has_users(engine: Engine) -> bool:
    """Whether anybody signs in by a password."""
    with engine.begin() as connection:
        count = select(func.count()).where(user.c.password.is_not(None))
        return bool(connection.scalar(count))


def sign_in(engine: Engine, name: str, password: str) -> Person | None:
    """The user of this name and password; a wrong name takes as long as a wrong password."""
    if len(password) > LONGEST:
        return None
    with engine.begin() as connection:
        known = connection.execute(select(user).where(user.c.name == name)).first()
    hashed = known.password if known and known.password else _nobody()
    with _one_at_a_time:
        is_right = bool(_hasher().verify(password, hashed))
    if known is None or known.password is None or not is_right:
        return None
    return Person(known.name, known.role)


def _check(name: str, role: str, password: str) -> None:
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()):
        raise ConfigError(
            f"--add-user: {name!r} is no name; give 1 to {LONGEST_NAME} printable characters"
        )
    if name == ME:
        raise ConfigError(
            f"--add-user: {ME!r} is the person who signs in by the link; give another name"
        )
    if role not in ROLES:
        raise ConfigError(f"--role: there is no role {role!r}; use {', '.join(ROLES)}")
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(
            f"--add-user: the password has {len(password)} characters; give {SHORTEST} to {LONGEST}"
        )


@cache
def _hasher() -> Any:
    try:
        from pwdlib import PasswordHash
    except ModuleNotFoundError:
        raise MissingExtra.of("pwdlib", "serve") from None
    return PasswordHash.recommended()


@cache
def _nobody() -> str:
    """The hash that is checked where there is no user."""
    return str(_hasher().hash("nobody has this password"))
