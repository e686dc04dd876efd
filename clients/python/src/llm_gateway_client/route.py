"""Which way a call went: what `client.last_route`, the log and the response's header say."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from itertools import count
from typing import Literal, NamedTuple

ROUTE_HEADER = "x-llm-gateway-route"
"""`openai` on the answer to a call that went there directly; the gateway's own have none."""
MODEL_HEADER = "x-llm-gateway-model"
"""The model that served. The gateway sets it; on the answers to direct calls it is set here."""

Server = Literal["gateway", "openai"]
Reason = Literal[
    "gateway", "flag_off", "connection_failed", "connect_timeout", "gateway_503", "breaker_open"
]


class Route(NamedTuple):
    """The way of one call."""

    served_by: Server
    """Who was asked last, and so who the answer or the error is from."""
    model: str | None
    """The model that served; None if the request named none, or the gateway did not say."""
    reason: Reason
    """`gateway`, or why the call went to OpenAI directly."""
    status: int | None
    """The answer's status; None when there was no answer."""
    adjusted: tuple[str, ...] = ()
    """Fields that were changed or left out because the stand-in model does not take them."""


class Answer(NamedTuple):
    """An answer of the gateway's from which the route can be read, should anyone ask."""

    headers: Mapping[str, str]
    status: int

    def route(self) -> Route:
        return Route("gateway", self.headers.get(MODEL_HEADER), "gateway", self.status)


class LastRoute:
    """The last route of one client and its copies, in the current thread or task."""

    def __init__(self) -> None:
        self._client = next(_clients)

    def get(self) -> Route | None:
        last = next((last for client, last in _routes.get() if client == self._client), None)
        return last.route() if isinstance(last, Answer) else last

    def set(self, last: Route | Answer) -> None:
        entries = _routes.get()
        if len(entries) <= 1 and (not entries or entries[0][0] == self._client):
            _routes.set(((self._client, last),))
            return
        others = [entry for entry in entries if entry[0] != self._client]
        _routes.set(((self._client, last), *others[: _REMEMBERED - 1]))


# One variable for all clients: a context never lets go of a variable, and Django makes a client
# for each request. Tuples, because contexts are copied by reference.
_REMEMBERED = 16
_clients = count()
_routes: ContextVar[tuple[tuple[int, Route | Answer], ...]] = ContextVar(
    "llm_gateway_routes", default=()
)
