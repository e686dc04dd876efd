"""HTTP clients that ask a router where each request goes: the one place that every call passes.

They are what the SDK takes for its own HTTP client, stand in front of the real one, and leave it
pooling, proxies and TLS. That one may be shared: see `pool.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread

from .face import Face, closed, face
from .router import Router

if TYPE_CHECKING:
    import httpx2 as httpx


class _Routing(Face):
    """A face that asks a router."""

    def __init__(self, inner: Any, router: Router) -> None:
        super().__init__(inner)
        self._router = router


class SyncRouting(_Routing):
    """`send` for threads."""

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        if self._closed:
            raise closed()
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
            raise closed()
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
    return face(routing, client)(client, router)
