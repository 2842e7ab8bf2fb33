"""How often somebody may fail to sign in."""

import threading
import time
from collections import OrderedDict, deque

from fewmasks.server.refusal import Refusal

SECONDS = 60
MOST_KEYS = 10_000


class Attempts:
    """Failed sign-ins of the last minute, per name and per address."""

    def __init__(self, per_name: int = 5, per_address: int = 20) -> None:
        self.per_name = per_name
        self.per_address = per_address
        self._failed: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, address: str, name: str) -> None:
        """Count an attempt as failed until `succeed`; refuse it where there were too many.

        Counted before the password is checked, so that many at once are not all let through.
        """
        now = time.monotonic()
        with self._lock:
            limits = {(address, name): self.per_name, (address, ""): self.per_address}
            for key, most in limits.items():
                failed = self._recent(key, now)
                if len(failed) >= most:
                    wait = int(failed[0] + SECONDS - now) + 1
                    raise Refusal(
                        429,
                        f"sign in: too many failed attempts ({len(failed)} in the last minute); "
                        f"try again in {wait} seconds",
                        {"wait": wait},
                    )
            for key in limits:
                self._failed[key].append(now)
            while len(self._failed) > MOST_KEYS:
                self._failed.popitem(last=False)

    def succeed(self, address: str, name: str) -> None:
        """Forget the failures of this name, and the attempt that was none."""
        with self._lock:
            self._failed.pop((address, name), None)
            others = self._failed.get((address, ""))
            if others:
                others.pop()

    def _recent(self, key: tuple[str, str], now: float) -> deque[float]:
        found = self._failed.setdefault(key, deque())
        self._failed.move_to_end(key)
        while found and found[0] < now - SECONDS:
            found.popleft()
        return found
