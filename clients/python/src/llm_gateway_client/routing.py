"""HTTP clients that ask a router where each request goes: the one place that every call passes.

They are what the SDK takes for its own HTTP client, stand in front of the real one, and leave it
pooling, proxies and TLS.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread
import openai

from .router import Router

if TYPE_CHECKING:
    import httpx2 as httpx


class _Routing:
    """A client's face with another client behind it: state and settings are the other's."""

    _inner: Any

    def __init__(self, inner: Any, router: Router) -> None:
        # The library's own constructor is left out on purpose: it would build a second pool.
        self._inner = inner
        self._router = router
        self._closed = False
        self.build_request = inner.build_request

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def is_closed(self) -> bool:
        return self._closed or bool(self._inner.is_closed)


def _closed() -> RuntimeError:
    return RuntimeError("this client has been closed; get another one")


class SyncRouting(_Routing):
    """`send` for threads."""

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        if self._closed:
            raise _closed()
        router, inner = self._router, self._inner
        if router.openai is not None and not router.flag.settled:
            router.flag.wait()
        call = router.open(request)
        if call is None:
            return cast("httpx.Response", inner.send(request, **options))
        if call.reason == "gateway":
            try:
                response = inner.send(request, **options)
            except Exception as error:
                if not call.unavailable(error):
                    raise
            else:
                if not call.refused(response):
                    return call.served(response)
                response.close()
        try:
            response = inner.send(call.direct_request(), **options)
        except Exception:
            call.failed()
            raise
        return call.served(response)

    def close(self) -> None:
        self._closed = True
        self._inner.close()


class AsyncRouting(_Routing):
    """`send` for tasks; the same steps."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        if self._closed:
            raise _closed()
        router, inner = self._router, self._inner
        if router.openai is not None and not router.flag.settled:
            await anyio.to_thread.run_sync(router.flag.wait)
        call = router.open(request)
        if call is None:
            return cast("httpx.Response", await inner.send(request, **options))
        if call.reason == "gateway":
            try:
                response = await inner.send(request, **options)
            except Exception as error:
                if not call.unavailable(error):
                    raise
            else:
                if not call.refused(response):
                    return call.served(response)
                await response.aclose()
        try:
            response = await inner.send(call.direct_request(), **options)
        except Exception:
            call.failed()
            raise
        return call.served(response)

    async def aclose(self) -> None:
        self._closed = True
        await self._inner.aclose()


def routed(client: httpx.Client, router: Router) -> httpx.Client:
    """This client behind the router; itself if that is where it is."""
    return cast("httpx.Client", _in_front_of(client, router, SyncRouting))


def routed_async(client: httpx.AsyncClient, router: Router) -> httpx.AsyncClient:
    """This client behind the router; itself if that is where it is."""
    return cast("httpx.AsyncClient", _in_front_of(client, router, AsyncRouting))


def _in_front_of(client: Any, router: Router, routing: type[_Routing]) -> Any:
    if isinstance(client, _Routing):
        if client._router is router:
            return client
        client = client._inner
    return _routing_class(routing, _library_class(type(client)))(client, router)


def _library_class(cls: type) -> type:
    # The SDK insists on an instance of its own library's client, httpx's or httpx2's, and takes
    # either in some versions: follow the client that is there.
    return next(
        base
        for base in cls.__mro__
        if base.__name__ in ("Client", "AsyncClient")
        and base.__module__.partition(".")[0] in ("httpx", "httpx2")
    )


def _routing_class(routing: type[_Routing], library: type) -> Any:
    if library not in _classes:
        _classes[library] = type(f"Routed{library.__name__}", (routing, library), {})
    return _classes[library]


_classes: dict[type, Any] = {}


class _SharedPool(openai.DefaultHttpxClient):
    """The connections of all synchronous clients of this process."""

    def close(self) -> None:
        """One client's end is not the end of the others: the pool stays open."""


_pools: dict[int, httpx.Client] = {}
_pools_lock = threading.Lock()


def shared_pool() -> httpx.Client:
    """The process's pool: a client for each Django request must not mean a handshake for each.

    Not for asynchronous clients: their connections belong to an event loop.
    """
    # By process: connections must not be used on both sides of a fork.
    with _pools_lock:
        pool = _pools.get(os.getpid())
        if pool is None:
            pool = _pools[os.getpid()] = _SharedPool()
        return pool
