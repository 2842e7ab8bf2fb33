"""Moments as they stand in the database: UTC, ISO 8601, so that text sorts as time does."""

from datetime import UTC, datetime, timedelta


def moment(seconds_from_now: float = 0.0) -> str:
    """Now, or so many seconds from now; to the millisecond."""
    when = datetime.now(UTC) + timedelta(seconds=seconds_from_now)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
