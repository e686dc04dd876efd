"""Decides for each attempt: the gateway, or OpenAI directly; and rewrites it for the latter.

Speaks of HTTP in terms of the SDK's own request and response objects, but sends nothing.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .breaker import Breaker, Permit
from .flag import Flag
from .models import DirectBody, direct_body, direct_path, requested_model
from .route import MODEL_HEADER, ROUTE_HEADER, Answer, LastRoute, Reason, Route
from .settings import OpenAIAccess

if TYPE_CHECKING:
    import httpx2 as httpx

logger = logging.getLogger("llm_gateway_client")

# What the gateway is told and OpenAI is not: who we are there, and whose call it is.
_FOR_THE_GATEWAY = (b"x-posthog-", b"x-llm-gateway-")
_REPLACED = frozenset(
    (b"authorization", b"api-key", b"x-api-key", b"cookie", b"host", b"content-length")
)


class Router:
    """What one client and its copies share: where calls may go, and what is known about that."""

    def __init__(
        self,
        *,
        gateway_base_url: str,
        openai: OpenAIAccess | None,
        flag: Flag,
        breaker: Breaker,
        connect_timeout: float,
    ) -> None:
        self.openai = openai
        self.flag = flag
        self.breaker = breaker
        self.connect_timeout = connect_timeout
        self.last_route = LastRoute()
        self.prefix = f"{gateway_base_url}/"

    def open(self, request: httpx.Request) -> Call | None:
        """The call to make for this request; None if it is none for the gateway at all.

        That is one that `with_options(base_url=...)` has sent elsewhere.
        """
        url = str(request.url)
        return Call(self, request, url) if url.startswith(self.prefix) else None


class Call:
    """One attempt of the SDK: at the gateway, at OpenAI, or at one after the other."""

    __slots__ = ("_body", "_connect_timeout", "_permit", "_request", "_router", "_url", "reason")

    def __init__(self, router: Router, request: httpx.Request, url: str) -> None:
        self._router = router
        self._request = request
        self._url = url
        # None as well when there is nowhere else to go: then nothing is decided here.
        self._permit: Permit | None = None
        self.reason: Reason = "gateway"
        """`gateway`: send the request there. Else: send `direct_request` to OpenAI."""
        if router.openai is None:
            return
        if not router.flag.enabled():
            self.reason = "flag_off"
            return
        self._permit = router.breaker.admit()
        if self._permit is None:
            self.reason = "breaker_open"
            return
        # A gateway that does not even accept the connection is found out sooner than a provider
        # would be given up; the caller's own, shorter limit stands.
        timeouts = request.extensions.get("timeout")
        if timeouts is not None:
            self._connect_timeout = timeouts.get("connect")
            if self._connect_timeout is None or self._connect_timeout > router.connect_timeout:
                timeouts["connect"] = router.connect_timeout

    def unavailable(self, error: Exception) -> bool:
        """Whether this error means that the gateway is gone, and the call goes to OpenAI."""
        # The SDK may stand on httpx or on httpx2; the request is that library's own.
        library: Any = sys.modules[type(self._request).__module__.partition(".")[0]]
        if self._permit is not None:
            if isinstance(error, library.ConnectTimeout):
                return self._fall_over("connect_timeout", error)
            if isinstance(error, library.ConnectError):
                return self._fall_over("connection_failed", error)
        self._record(None)
        return False

    def refused(self, response: httpx.Response) -> bool:
        """Whether this answer means that the gateway is gone, and the call goes to OpenAI."""
        if response.status_code != 503 or self._permit is None:
            return False
        return self._fall_over("gateway_503", "it answered 503")

    def served(self, response: httpx.Response) -> httpx.Response:
        """Records the answer that the caller gets; on OpenAI's, it is written whose it is."""
        if self.reason == "gateway":
            if self._permit:
                self._router.breaker.succeeded(self._permit)
            if response.status_code < 400 and not logger.isEnabledFor(logging.INFO):
                # The way that nearly all calls go: nothing is worked out that nobody asks for.
                self._router.last_route.set(Answer(response.headers, response.status_code))
                return response
        else:
            response.headers[ROUTE_HEADER] = "openai"
            if self._body.model is not None:
                response.headers[MODEL_HEADER] = self._body.model
        self._record(response)
        return response

    def failed(self) -> None:
        """Records that OpenAI, asked directly, gave no answer."""
        self._record(None)

    def direct_request(self) -> httpx.Request:
        """The same request for OpenAI: its address, its key, its model, and none of our headers."""
        openai = self._router.openai
        self._body = DirectBody(b"", None, ())
        assert openai is not None, "without access to OpenAI every call is the gateway's"  # noqa: S101
        request = self._request
        headers = [
            (name, value)
            for name, value in request.headers.raw
            if (lower := name.lower()) not in _REPLACED and not lower.startswith(_FOR_THE_GATEWAY)
        ]
        host = urlsplit(openai.base_url).netloc.rpartition("@")[2]
        headers.append((b"Host", host.encode()))
        headers.append((b"Authorization", f"Bearer {openai.api_key}".encode()))
        body: dict[str, Any]
        if _is_json(request):
            self._body = direct_body(request.read())
            body = {"content": self._body.content}
        else:
            # Files and the like: the library rewinds them, or says that it cannot.
            if "content-length" in request.headers:
                headers.append((b"Content-Length", request.headers["content-length"].encode()))
            body = {"stream": request.stream}
        return type(request)(
            request.method,
            f"{openai.base_url}/{direct_path(self._path)}",
            headers=headers,
            extensions=dict(request.extensions),
            **body,
        )

    @property
    def _path(self) -> str:
        return self._url[len(self._router.prefix) :]

    def _fall_over(self, reason: Reason, why: object) -> bool:
        self._router.breaker.failed()
        logger.warning("the gateway is unavailable (%s: %s); the call goes to OpenAI", reason, why)
        self.reason = reason
        timeouts = self._request.extensions.get("timeout")
        if timeouts is not None:
            timeouts["connect"] = self._connect_timeout
        return True

    def _record(self, response: httpx.Response | None) -> None:
        status = None if response is None else response.status_code
        if self.reason == "gateway":
            model = None if response is None else response.headers.get(MODEL_HEADER)
            if model is None and _is_json(self._request):
                # No answer, or one from before a provider was chosen: what was asked for.
                model = requested_model(self._request.read())
            route = Route("gateway", model, "gateway", status)
        else:
            route = Route("openai", self._body.model, self.reason, status, self._body.adjusted)
        self._router.last_route.set(route)
        if logger.isEnabledFor(logging.INFO):
            logger.info(
                "llm call: served_by=%s model=%s reason=%s status=%s path=%s adjusted=%s",
                route.served_by,
                route.model,
                route.reason,
                route.status,
                self._path.partition("?")[0],
                ",".join(route.adjusted) or "-",
            )


def _is_json(request: httpx.Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")
