"""Who is signed in: opaque tokens, of which the database knows the hashes."""

import hashlib
import hmac
import secrets
import threading

from sqlalchemy import Engine, select

from fewmasks.project.schema import session, user, writing
from fewmasks.server.accounts import ME, Person, add_me
from fewmasks.server.clock import moment

SESSION_SECONDS = 7.0 * 24 * 3600


class Link:
    """The token of the link that the command prints; it opens one session and is gone."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._is_open = True
        self._lock = threading.Lock()

    def use(self, token: str) -> bool:
        """Whether this is the token, not used before."""
        with self._lock:
            is_right = self._is_open and hmac.compare_digest(token.encode(), self.token.encode())
            if is_right:
                self._is_open = False
            return is_right


def begin_session(engine: Engine, name: str) -> str:
    """The token of a new session; what ran out is tidied away."""
    token = secrets.token_urlsafe(32)
    with writing(engine).begin() as connection:
        if name == ME:
            add_me(connection)
        connection.execute(session.delete().where(session.c.until < moment()))
        given = {"digest": _digest(token), "user": name, "until": moment(SESSION_SECONDS)}
        connection.execute(session.insert(), given)
    return token


def person_of(engine: Engine, token: str, by_link: bool) -> Person | None:
    """Whose session this is; that of a link counts only while the server prints one."""
    query = (
        select(user)
        .join(session, session.c.user == user.c.name)
        .where(session.c.digest == _digest(token))
        .where(session.c.until >= moment())
    )
    with engine.begin() as connection:
        known = connection.execute(query).first()
    if known is None or (known.password is None and not by_link):
        return None
    return Person(known.name, known.role)


def end_session(engine: Engine, token: str) -> None:
    """Sign out."""
    with writing(engine).begin() as connection:
        connection.execute(session.delete().where(session.c.digest == _digest(token)))


def csrf_of(token: str) -> str:
    """What a page of this session, and no other site, can send along with a change."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def is_csrf(given: str, token: str) -> bool:
    """Whether a request carries it; compared in constant time."""
    return hmac.compare_digest(given.encode(), csrf_of(token).encode())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
