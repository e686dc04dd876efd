"""The connections of a process: shared by the clients that threads use.

A client for each Django request must mean neither a handshake nor a TLS set-up for each.
Asynchronous clients are not served: their connections belong to an event loop.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .face import Face, closed, face

if TYPE_CHECKING:
    import httpx2 as httpx

Client = TypeVar("Client")

_pools: dict[tuple[int, type], Any] = {}
_pools_lock = threading.Lock()


def shared_pool(client_class: type[Client]) -> Client:
    """The process's one client of this class, an SDK's default one. Closing it does nothing."""
    # By process: connections must not be used on both sides of a fork.
    key = (os.getpid(), client_class)
    with _pools_lock:
        pool = _pools.get(key)
        if pool is None:
            stays_open: dict[str, Any] = {"close": lambda self: None}
            pool = _pools[key] = type("SharedPool", (client_class,), stays_open)()
        return cast("Client", pool)


class Member(Face):
    """One client's share in a pool: it can be closed, and the others go on."""

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        if self._closed:
            raise closed()
        return cast("httpx.Response", self._inner.send(request, **options))

    def close(self) -> None:
        self._closed = True


def member(client_class: type[Client]) -> Client:
    """A share in the process's one client of this class."""
    pool = shared_pool(client_class)
    return cast("Client", face(Member, pool)(pool))
