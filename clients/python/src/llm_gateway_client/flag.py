"""The feature flag `use-llm-gateway`: is the gateway to be used?

Asks the `posthog` package in a thread of its own and answers from memory, so that once there is
an answer no call waits for the network. Knows nothing of gateways or clients.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

FLAG = "use-llm-gateway"
FIRST_ANSWER_SECONDS = 1.0
"""How long the first call waits for the first answer before it takes the default."""
MOST_REMEMBERED = 10_000
"""Teams whose answers are kept; the one that was asked for least recently goes first."""

NO_TEAM = "llm-gateway-client"
"""Who is asked for where there is no team."""
_POSTHOG_IS_SET_UP_BY = ("default_client", "project_api_key", "api_key")

logger = logging.getLogger("llm_gateway_client")

_silence = threading.Event()
"""Set while PostHog has kept a first call waiting in vain, until it answers again."""

Evaluate = Callable[[], "bool | None"]
"""Asks once, perhaps over the network. None: it could not be evaluated."""


class Flag:
    """The flag for one team. `enabled` never waits; `wait` does, until the first answer."""

    def __init__(
        self,
        evaluate: Evaluate,
        *,
        default: bool,
        cache_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._evaluate = evaluate
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._enabled = default
        self._stale_at = float("-inf")
        self._refreshing: tuple[int, threading.Event] | None = None
        self.settled = False
        """Whether there has been an answer (or a failure to get one)."""

    def enabled(self) -> bool:
        """The last answer; when that has grown old, a new one is fetched in the background."""
        if self._clock() >= self._stale_at:
            self.refresh()
        return self._enabled

    def wait(self, seconds: float = FIRST_ANSWER_SECONDS) -> None:
        """Waits for the first answer, but no longer than this. Returns at once ever after."""
        if not self.settled:
            # One team's call finds out that PostHog is silent; the other teams' need not as well.
            if not self.refresh().wait(0 if _silence.is_set() else seconds):
                _silence.set()
            # The answer may still come; calls no longer wait for it.
            self.settled = True

    def refresh(self) -> threading.Event:
        """Starts fetching an answer unless that is under way; the event tells when it is there."""
        with self._lock:
            # A fork copies this object but not the thread that was to answer.
            if self._refreshing is not None and self._refreshing[0] == os.getpid():
                return self._refreshing[1]
            done = threading.Event()
            self._refreshing = (os.getpid(), done)
        if posthog_is_configured():
            threading.Thread(
                target=self._fetch, args=(done,), name="llm-gateway-flag", daemon=True
            ).start()
        else:
            self._settle(None, done)
        return done

    def _fetch(self, done: threading.Event) -> None:
        answer: bool | None = None
        try:
            answer = self._evaluate()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the answer is "unknown"
            logger.warning("feature flag %s could not be evaluated: %s", FLAG, error)
        finally:
            self._settle(answer, done)

    def _settle(self, answer: bool | None, done: threading.Event) -> None:
        with self._lock:
            # Without an answer the last one stands: an outage of PostHog switches nothing.
            if answer is not None:
                self._enabled = answer
                _silence.clear()
            self._stale_at = self._clock() + self._cache_seconds
            self._refreshing = None
            self.settled = True
        done.set()


def posthog_is_configured() -> bool:
    """Whether the application has set up the `posthog` package (it is never set up from here)."""
    return _posthog() is not None


def ask_posthog(team: str | None) -> bool | None:
    """Evaluates the flag for a team (as the group `project`), or for no one in particular.

    It is the team that decides and never the end user: an answer is good for all of a team's
    calls, so one is kept for each team, and the user need not be known before the call.
    """
    posthog = _posthog()
    if posthog is None:
        return None
    who = team if team is not None else NO_TEAM
    of_team: dict[str, Any] = {
        "groups": {"project": team} if team is not None else {},
        "group_properties": {"project": {"id": team}} if team is not None else {},
    }
    if hasattr(posthog, "feature_enabled"):
        answer = posthog.feature_enabled(FLAG, who, **of_team, send_feature_flag_events=False)
    else:
        # What the package has said will take its place.
        flags = posthog.evaluate_flags(who, **of_team, flag_keys=[FLAG])
        answer = flags.is_enabled(FLAG, None, send_feature_flag_events=False)
    return None if answer is None else bool(answer)


def _posthog() -> Any:
    # `posthoganalytics` is the same package for those whose own code is called `posthog`.
    for name in ("posthoganalytics", "posthog"):
        package: Any = sys.modules.get(name)
        if package is None or getattr(package, "disabled", False):
            continue
        if any(getattr(package, key, None) for key in _POSTHOG_IS_SET_UP_BY):
            return package
    return None


_flags: OrderedDict[tuple[str | None, bool, float], Flag] = OrderedDict()
_flags_lock = threading.Lock()


def flag_for(team: str | None, *, default: bool, cache_seconds: float) -> Flag:
    """This process's one flag for a team: Django makes a client for each request."""
    key = (team, default, cache_seconds)
    with _flags_lock:
        flag = _flags.get(key)
        if flag is None:
            flag = Flag(lambda: ask_posthog(team), default=default, cache_seconds=cache_seconds)
            _flags[key] = flag
            if len(_flags) > MOST_REMEMBERED:
                _flags.popitem(last=False)
        else:
            _flags.move_to_end(key)
        return flag
