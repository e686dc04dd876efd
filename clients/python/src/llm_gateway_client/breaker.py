"""Remembers for some seconds that the gateway is unavailable, so that calls need not find out.

No I/O, and the clock is an argument. Safe to share between threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Permit = int
"""Proof that a call was let through: 0 for a call as usual, else which probe it is."""
_CLOSED = float("-inf")


class Breaker:
    """Closed until the gateway is found unavailable, then open for `open_for` seconds.

    Thereafter one call at a time is let through as a probe, each `open_for` seconds, until one
    finds the gateway answering.
    """

    def __init__(self, open_for: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._open_for = open_for
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: Permit = 0
        self._open_until = _CLOSED

    def admit(self) -> Permit | None:
        """A permit to call the gateway, or None while the breaker is open."""
        if self._open_until == _CLOSED:
            return 0
        with self._lock:
            now = self._clock()
            if self._open_until == _CLOSED:
                return 0
            if now < self._open_until:
                return None
            # The probe's lease: should its caller never report back, the next one gets a turn.
            self._open_until = now + self._open_for
            return self._failures

    def failed(self) -> None:
        """The gateway was unavailable."""
        with self._lock:
            self._failures += 1
            self._open_until = self._clock() + self._open_for

    def succeeded(self, permit: Permit) -> None:
        """The gateway answered a call that was let through with this permit."""
        if permit == 0:
            return
        with self._lock:
            # An answer to a probe from before the last failure says nothing about now.
            if permit == self._failures:
                self._open_until = _CLOSED


_breakers: dict[tuple[str, float], Breaker] = {}
_breakers_lock = threading.Lock()


def breaker_for(gateway: str, open_for: float) -> Breaker:
    """This process's one breaker for a gateway: what one client learns, all know."""
    with _breakers_lock:
        return _breakers.setdefault((gateway, open_for), Breaker(open_for))
