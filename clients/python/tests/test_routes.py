"""The table: every state of the gateway, every shape of call, in threads and in tasks.

Which server got which model, and what the caller saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import openai
import pytest

from calls import CLAUDE, SHAPES, STAND_IN, Outcome, Shape, run
from conftest import Configure, StartServer
from llm_gateway_client import Route, get_async_llm_client, get_llm_client
from servers import (
    ANSWER,
    Server,
    answers,
    answers_with,
    dies,
    drops,
    flag_is,
    hanging,
    never_answers,
    refusing,
)


class Expected(NamedTuple):
    gateway: int
    """How many requests the gateway gets, all of them for the model that the caller named."""
    openai: int
    """How many requests OpenAI gets, all of them for the stand-in."""
    error: str | None
    route: Route


def _gateway(requests: int, status: int, error: str | None = None) -> Expected:
    return Expected(requests, 0, error, Route("gateway", CLAUDE, "gateway", status))


TABLE = {
    "up": _gateway(1, 200),
    "flag off": Expected(0, 1, None, Route("openai", STAND_IN, "flag_off", 200)),
    "refused": Expected(0, 1, None, Route("openai", STAND_IN, "connection_failed", 200)),
    "hangs": Expected(0, 1, None, Route("openai", STAND_IN, "connect_timeout", 200)),
    "503": Expected(1, 1, None, Route("openai", STAND_IN, "gateway_503", 200)),
    # The SDK tries these twice more by itself; where it does, the gateway gets them all.
    "500": _gateway(3, 500, "InternalServerError"),
    "429": _gateway(3, 429, "RateLimitError"),
    "400": _gateway(1, 400, "BadRequestError"),
    "401": _gateway(1, 401, "AuthenticationError"),
    "403": _gateway(1, 403, "PermissionDeniedError"),
}
STATUSES = ("503", "500", "429", "400", "401", "403")


class State(NamedTuple):
    name: str
    server: Server | None
    """None where nothing can be asked."""
    expected: Expected


@pytest.fixture(params=TABLE)
def state(
    request: pytest.FixtureRequest,
    start: StartServer,
    configure: Configure,
    posthog_at: Callable[[Server], None],
) -> Iterator[State]:
    name: str = request.param
    if name == "refused":
        with refusing() as url:
            configure(url)
            yield State(name, None, TABLE[name])
    elif name == "hangs":
        with hanging() as url:
            configure(url)
            yield State(name, None, TABLE[name])
    else:
        server = start(answers_with(int(name)) if name in STATUSES else answers)
        if name == "flag off":
            posthog_at(start(flag_is(False)))
        configure(server.url)
        yield State(name, server, TABLE[name])


def _assert_as_expected(
    state: State, outcome: Outcome, route: Route | None, openai_server: Server
) -> None:
    expected = state.expected
    assert outcome == Outcome("" if expected.error else ANSWER, expected.error)
    assert route == expected.route
    assert (state.server.models if state.server else []) == [CLAUDE] * expected.gateway
    assert openai_server.models == [STAND_IN] * expected.openai


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_call_goes_where_the_table_says(
    shape: Shape, state: State, openai_server: Server
) -> None:
    client = get_llm_client(team_id=2)

    outcome = shape.call(client)

    _assert_as_expected(state, outcome, client.last_route, openai_server)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_asynchronous_call_goes_where_the_table_says(
    shape: Shape, state: State, openai_server: Server
) -> None:
    async def call() -> tuple[Outcome, Route | None]:
        async with get_async_llm_client(team_id=2) as client:
            outcome = await shape.acall(client)
            return outcome, client.last_route

    outcome, route = run(call())

    _assert_as_expected(state, outcome, route, openai_server)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_gateway_that_dies_in_its_answer_is_seen_as_with_the_plain_sdk(
    shape: Shape, start: StartServer, configure: Configure, openai_server: Server
) -> None:
    gateway, other = start(dies), start(dies)
    configure(gateway.url)
    plain = openai.OpenAI(api_key="phx_x", base_url=f"{other.url}/django/v1", max_retries=1)

    outcome = shape.call(get_llm_client().with_options(max_retries=1))

    assert outcome == shape.call(plain)
    assert outcome.error is not None
    assert bool(outcome.text) == shape.name.endswith("stream")
    assert gateway.models == other.models
    assert openai_server.received == []


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_gateway_that_dies_in_its_answer_is_seen_as_with_the_plain_asynchronous_sdk(
    shape: Shape, start: StartServer, configure: Configure, openai_server: Server
) -> None:
    gateway, other = start(dies), start(dies)
    configure(gateway.url)

    async def call() -> tuple[Outcome, Outcome]:
        url = f"{other.url}/django/v1"
        async with (
            get_async_llm_client() as client,
            openai.AsyncOpenAI(api_key="phx_x", base_url=url, max_retries=1) as plain,
        ):
            ours = await shape.acall(client.with_options(max_retries=1))
            return ours, await shape.acall(plain)

    outcome, expected = run(call())

    assert outcome == expected
    assert outcome.error is not None
    assert bool(outcome.text) == shape.name.endswith("stream")
    assert gateway.models == other.models
    assert openai_server.received == []


# Once connected, the gateway is at work on the call: nobody else is asked to do it again.
UNANSWERED = {"never answers": (never_answers, 0.1), "drops the call": (drops, 10)}
ERRORS = {"never answers": "APITimeoutError", "drops the call": "APIConnectionError"}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("name", UNANSWERED)
def test_a_gateway_that_takes_a_call_and_gives_no_answer_is_an_error(
    name: str, shape: Shape, start: StartServer, configure: Configure, openai_server: Server
) -> None:
    respond, timeout = UNANSWERED[name]
    gateway = start(respond)
    configure(gateway.url)
    client = get_llm_client(timeout=timeout).with_options(max_retries=0)

    outcome = shape.call(client)

    assert outcome == Outcome("", ERRORS[name])
    assert client.last_route == Route("gateway", CLAUDE, "gateway", None)
    assert gateway.models == [CLAUDE]
    assert openai_server.received == []


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("name", UNANSWERED)
def test_a_gateway_that_takes_an_asynchronous_call_and_gives_no_answer_is_an_error(
    name: str, shape: Shape, start: StartServer, configure: Configure, openai_server: Server
) -> None:
    respond, timeout = UNANSWERED[name]
    gateway = start(respond)
    configure(gateway.url)

    async def call() -> tuple[Outcome, Route | None]:
        async with get_async_llm_client(timeout=timeout) as client:
            outcome = await shape.acall(client.with_options(max_retries=0))
            return outcome, client.last_route

    assert run(call()) == (
        Outcome("", ERRORS[name]),
        Route("gateway", CLAUDE, "gateway", None),
    )
    assert gateway.models == [CLAUDE]
    assert openai_server.received == []
