"""What all requests share: the project, and how people sign in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fewmasks.project import Project
from fewmasks.server.attempts import Attempts
from fewmasks.server.jobs import WORK
from fewmasks.server.sessions import Link


@dataclass(frozen=True)
class Desk:
    """One server's state beside the database."""

    project: Project
    link: Link | None
    """The way in on this computer; None where people have names and passwords."""
    attempts: Attempts = field(default_factory=Attempts)
    by_password: dict[str, str] = field(default_factory=dict)
    """Tokens of programs that send a password every time, by the hash of what they send."""
    work: Sequence[str] = WORK
    """The program of a job."""
    is_stopping: Callable[[], bool] = lambda: False
    """Whether answers that go on for long should end, since the server does."""
