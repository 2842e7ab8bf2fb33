"""The command as it was typed, for what keeps by what it was started."""

from contextvars import ContextVar

TYPED: ContextVar[str | None] = ContextVar("TYPED", default=None)
