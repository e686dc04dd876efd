"""What the clients do beyond the table: headers, copies, raw answers, the breaker, threads."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from typing import Any

import openai
import pytest

from calls import CLAUDE, MESSAGES, STAND_IN, achat, chat, run
from conftest import GATEWAY_KEY, OPENAI_KEY, Configure, StartServer
from llm_gateway_client import Route, get_async_llm_client, get_llm_client
from servers import ANSWER, Exchange, Server, answers, answers_with, hanging, refusing


def test_the_gateway_is_told_whose_call_it_is(configure: Configure, gateway: Server) -> None:
    configure(gateway.url)

    chat(get_llm_client(team_id=7), [])
    chat(get_llm_client(), [])

    of_team, of_none = gateway.received
    assert of_team.path == of_none.path == "/django/v1/chat/completions"
    assert of_team.headers["authorization"] == f"Bearer {GATEWAY_KEY}"
    assert of_team.headers["x-posthog-property-team_id"] == "7"
    assert of_team.headers["x-posthog-team-id"] == "7"
    assert not [name for name in of_none.headers if name.startswith("x-posthog")]


def test_openai_learns_neither_the_gateways_key_nor_whose_call_it_is(
    configure: Configure, openai_server: Server
) -> None:
    with refusing() as url:
        configure(url)
        client = get_llm_client(team_id=7, default_headers={"x-own": "kept"})
        client.chat.completions.create(
            model=CLAUDE,
            messages=MESSAGES,
            user="u1",
            extra_headers={"X-PostHog-Trace-Id": "t", "x-llm-gateway-strict": "true"},
            extra_query={"q": "1"},
        )

    [request] = openai_server.received
    assert request.path == "/v1/chat/completions?q=1"
    assert request.headers["authorization"] == f"Bearer {OPENAI_KEY}"
    assert request.headers["host"] == openai_server.url.removeprefix("http://")
    assert request.headers["x-own"] == "kept"
    told = " ".join([*request.headers, *request.headers.values()])
    for secret in ("posthog", "llm-gateway", GATEWAY_KEY):
        assert secret not in told.lower()
    assert request.json == {"model": STAND_IN, "messages": MESSAGES, "user": "u1"}


def test_a_model_of_openais_own_keeps_its_name_and_body(
    configure: Configure, openai_server: Server, gateway: Server
) -> None:
    configure(gateway.url)
    arguments: Any = {"model": "gpt-4.1", "messages": MESSAGES, "max_tokens": 5, "temperature": 0.5}
    get_llm_client().chat.completions.create(**arguments)
    with refusing() as url:
        get_llm_client(base_url=url).chat.completions.create(**arguments)

    assert gateway.received[0].body == openai_server.received[0].body


def test_the_breaker_spares_a_gateway_that_is_unavailable_until_a_probe_succeeds(
    configure: Configure, start: StartServer, openai_server: Server
) -> None:
    gateway = start(answers_with(503, {"x-should-retry": "true", "retry-after": "30"}))
    configure(gateway.url)
    client = get_llm_client()
    now = 100.0
    client._router.breaker._clock = lambda: now

    chat(client, [])
    chat(get_llm_client(team_id=7), [])
    assert len(gateway.received) == 1
    assert client.with_options(timeout=5).last_route == Route(
        "openai", STAND_IN, "gateway_503", 200
    )

    gateway.respond = answers
    now += 10
    chat(client, [])
    chat(client, [])

    assert len(gateway.received) == 3
    assert len(openai_server.received) == 2


def test_an_open_breaker_is_told_as_the_reason(configure: Configure) -> None:
    with refusing() as url:
        configure(url)
        client = get_llm_client()
        chat(client, [])
        chat(client, [])
        assert client.last_route == Route("openai", STAND_IN, "breaker_open", 200)


@pytest.mark.parametrize("status", [500, 429, 503, 401])
def test_what_openai_answers_is_what_the_caller_sees(
    configure: Configure, openai_server: Server, status: int
) -> None:
    openai_server.respond = answers_with(status)
    with refusing() as url:
        configure(url)
        client = get_llm_client().with_options(max_retries=0)
        with pytest.raises(openai.APIStatusError) as failed:
            chat(client, [])

    assert failed.value.status_code == status
    assert failed.value.response.headers["x-llm-gateway-route"] == "openai"
    assert len(openai_server.received) == 1
    assert client.last_route == Route("openai", STAND_IN, "connection_failed", status)


def test_when_both_are_gone_the_caller_sees_a_connection_error(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing() as url, refusing() as openai_url:
        configure(url, OPENAI_BASE_URL=openai_url)
        client = get_llm_client().with_options(max_retries=0)
        with pytest.raises(openai.APIConnectionError):
            chat(client, [])
        assert client.last_route == Route("openai", STAND_IN, "connection_failed", None)


def test_a_connection_that_hangs_counts_against_the_gateway_and_not_against_openai(
    configure: Configure, openai_server: Server
) -> None:
    def slow(server: Server, exchange: Exchange) -> None:
        server.release.wait(0.5)
        answers(server, exchange)

    openai_server.respond = slow
    with hanging() as url:
        configure(url)
        client = get_llm_client(timeout=10)
        chat(client, [])
        assert client.last_route == Route("openai", STAND_IN, "connect_timeout", 200)


def test_copies_keep_their_way(configure: Configure, openai_server: Server) -> None:
    with refusing() as url:
        configure(url)
        client = get_llm_client(team_id=7)
        copy = client.with_options(timeout=9, max_retries=5).copy(default_headers={"x-a": "b"})
        chat(copy, [])

    assert type(copy) is type(client)
    assert (copy.timeout, copy.max_retries) == (9, 5)
    assert (
        client.last_route == copy.last_route == Route("openai", STAND_IN, "connection_failed", 200)
    )
    assert openai_server.received[0].headers["x-a"] == "b"


def test_asynchronous_copies_keep_their_way(configure: Configure, openai_server: Server) -> None:
    async def call(url: str) -> None:
        configure(url)
        async with get_async_llm_client(team_id=7) as client:
            copy = client.with_options(timeout=9, max_retries=5)
            await achat(copy, [])
            assert type(copy) is type(client)
            assert client.last_route == Route("openai", STAND_IN, "connection_failed", 200)

    with refusing() as url:
        run(call(url))
    assert openai_server.models == [STAND_IN]


def test_a_copy_with_an_http_client_of_ones_own_keeps_its_way(
    configure: Configure, openai_server: Server
) -> None:
    used: list[str] = []

    class Counting(openai.DefaultHttpxClient):
        def send(self, request: Any, **options: Any) -> Any:
            used.append(request.url.path)
            return super().send(request, **options)

    with refusing() as url, Counting() as own:
        configure(url)
        chat(get_llm_client().with_options(http_client=own), [])

    assert used == ["/django/v1/chat/completions", "/v1/chat/completions"]
    assert openai_server.models == [STAND_IN]


def test_a_copy_for_another_address_goes_there_as_it_is(
    configure: Configure, gateway: Server, start: StartServer
) -> None:
    other = start(answers)
    configure(gateway.url)
    client = get_llm_client().with_options(base_url=f"{other.url}/v1", api_key="sk-other")

    chat(client, [])

    assert other.models == [CLAUDE]
    assert other.received[0].headers["authorization"] == "Bearer sk-other"
    assert client.last_route is None


def test_raw_answers_say_which_way_they_came(configure: Configure, gateway: Server) -> None:
    configure(gateway.url)
    client = get_llm_client()
    arguments: Any = {"model": CLAUDE, "messages": MESSAGES}

    raw = client.chat.completions.with_raw_response.create(**arguments)
    assert "x-llm-gateway-route" not in raw.headers
    assert raw.headers["x-llm-gateway-model"] == CLAUDE
    assert raw.parse().choices[0].message.content == ANSWER

    with refusing() as url:
        client = get_llm_client(base_url=url)
        raw = client.chat.completions.with_raw_response.create(**arguments)
        assert raw.headers["x-llm-gateway-route"] == "openai"
        assert raw.headers["x-llm-gateway-model"] == STAND_IN
        assert raw.parse().choices[0].message.content == ANSWER
        with client.chat.completions.with_streaming_response.create(**arguments) as streamed:
            assert streamed.headers["x-llm-gateway-route"] == "openai"
            assert "gpt-5-mini" in "".join(streamed.iter_text())


def test_models_can_be_listed_and_looked_up_either_way(configure: Configure) -> None:
    with refusing() as url:
        configure(url)
        client = get_llm_client()
        assert [model.id for model in client.models.list()] == ["some-model"]
        assert client.models.retrieve(CLAUDE).id == STAND_IN


def test_an_upload_falls_over_with_its_file_whole(
    configure: Configure, start: StartServer, openai_server: Server
) -> None:
    gateway = start(answers_with(503))
    configure(gateway.url)

    answer = get_llm_client().audio.transcriptions.create(
        model="whisper-1", file=("a.wav", io.BytesIO(b"sound" * 1000))
    )

    [refused], [served] = gateway.received, openai_server.received
    assert refused.body == served.body
    assert answer.text == f"{len(served.body)} bytes"


def test_a_log_line_says_who_served_and_which_model(
    configure: Configure, gateway: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llm_gateway_client")
    configure(gateway.url)
    chat(get_llm_client(), [])
    with refusing() as url:
        chat(get_llm_client(base_url=url), [])

    by_gateway, warning, by_openai = caplog.messages
    assert "served_by=gateway model=claude-sonnet-4-5 reason=gateway status=200" in by_gateway
    assert "the gateway is unavailable (connection_failed:" in warning
    assert "served_by=openai model=gpt-5-mini reason=connection_failed status=200" in by_openai
    for secret in (GATEWAY_KEY, OPENAI_KEY, "answer?"):
        assert secret not in caplog.text


def test_clients_of_one_process_share_connections_and_survive_each_others_end(
    configure: Configure, gateway: Server
) -> None:
    configure(gateway.url)
    for team in range(5):
        with get_llm_client(team_id=team) as client:
            chat(client, [])

    assert client.is_closed()
    # The SDK's versions differ in whether they wrap what their HTTP client says to this.
    with pytest.raises((RuntimeError, openai.APIConnectionError)):
        chat(client.with_options(max_retries=0), [])
    assert gateway.connections == 1


def test_each_thread_sees_its_own_last_route(configure: Configure, gateway: Server) -> None:
    configure(gateway.url)
    client = get_llm_client()
    chat(client, [])
    seen: list[Route | None] = []
    thread = threading.Thread(target=lambda: seen.append(client.last_route))
    thread.start()
    thread.join()

    assert seen == [None]
    assert client.last_route == Route("gateway", CLAUDE, "gateway", 200)


def test_each_task_sees_its_own_last_route(configure: Configure, gateway: Server) -> None:
    configure(gateway.url)

    async def call(client: Any, model: str) -> Route | None:
        await client.chat.completions.create(model=model, messages=MESSAGES)
        await asyncio.sleep(0)
        route: Route | None = client.last_route
        return route

    async def calls() -> list[Route | None]:
        async with get_async_llm_client() as client:
            return await asyncio.gather(*(call(client, f"m{number}") for number in range(8)))

    assert [route.model for route in run(calls())] == [f"m{number}" for number in range(8)]


def test_two_clients_keep_their_last_routes_apart(configure: Configure, gateway: Server) -> None:
    configure(gateway.url)
    with refusing() as url:
        one, other = get_llm_client(), get_llm_client(base_url=url)
        chat(one, [])
        chat(other, [])

    assert one.last_route == Route("gateway", CLAUDE, "gateway", 200)
    assert other.last_route == Route("openai", STAND_IN, "connection_failed", 200)


def test_many_threads_falling_over_at_once_are_all_served(
    configure: Configure, openai_server: Server
) -> None:
    seen: list[str] = []
    with refusing() as url:
        configure(url)
        client = get_llm_client()
        threads = [threading.Thread(target=chat, args=(client, seen)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seen == [ANSWER] * 8
    assert openai_server.models == [STAND_IN] * 8
