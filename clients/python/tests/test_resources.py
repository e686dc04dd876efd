"""What is returned is the SDK's own client: all its resources, raw and streamed answers, copies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from openai._resource import AsyncAPIResource, SyncAPIResource

from calls import CLAUDE, MESSAGES, STAND_IN, achat, chat, run
from conftest import GATEWAY_KEY, Configure, StartServer
from llm_gateway_client import (
    get_anthropic_client,
    get_async_anthropic_client,
    get_async_llm_client,
    get_llm_client,
)
from servers import ANSWER, Server, answers, refusing


def resources(holder: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All resources below a client, by their dotted names."""
    for name in dir(holder):
        if name.startswith("_") or name.startswith("with_"):
            continue
        value = getattr(holder, name, None)
        if isinstance(value, (SyncAPIResource, AsyncAPIResource)):
            yield f"{path}{name}", value
            yield from resources(value, f"{path}{name}.")


def test_every_resource_is_the_sdks_own_and_calls_through_the_client(configure: Configure) -> None:
    configure("https://gateway.example.com")
    client, async_client = get_llm_client(), get_async_llm_client()
    plain: list[tuple[Any, Any]] = [
        (client, openai.OpenAI(api_key="x")),
        (async_client, openai.AsyncOpenAI(api_key="x")),
    ]

    for ours, theirs in plain:
        expected = {name: type(resource) for name, resource in resources(theirs)}
        found = dict(resources(ours))
        assert {name: type(resource) for name, resource in found.items()} == expected
        assert {"chat.completions", "responses", "models", "embeddings"} < set(found)
        assert all(resource._client is ours for resource in found.values())


CALLS: dict[str, Callable[[Any], Any]] = {
    "embeddings": lambda c: c.embeddings.create(model="text-embedding-3-small", input="x"),
    "files": lambda c: c.files.list(),
    "files/f1/content": lambda c: c.files.content("f1"),
    "batches": lambda c: c.batches.list(limit=2),
    "fine_tuning/jobs": lambda c: c.fine_tuning.jobs.list(),
    "vector_stores": lambda c: c.vector_stores.list(),
    "models": lambda c: c.models.list(),
    "models/gpt-5-mini": lambda c: c.models.retrieve("gpt-5-mini"),
    "anything/else": lambda c: c.get("/anything/else", cast_to=object),
}


@pytest.mark.parametrize("path", CALLS)
def test_each_kind_of_call_reaches_its_path_either_way(
    path: str, configure: Configure, gateway: Server, openai_server: Server
) -> None:
    configure(gateway.url)
    CALLS[path](get_llm_client())
    with refusing() as url:
        CALLS[path](get_llm_client(base_url=url))

    [by_gateway], [by_openai] = gateway.received, openai_server.received
    assert by_gateway.path.partition("?")[0] == f"/django/v1/{path}"
    assert by_openai.path.partition("?")[0] == f"/v1/{path}"
    assert by_gateway.path.partition("?")[2] == by_openai.path.partition("?")[2]
    assert (by_gateway.method, by_gateway.body) == (by_openai.method, by_openai.body)


@pytest.mark.parametrize("path", CALLS)
def test_each_kind_of_asynchronous_call_reaches_its_path_either_way(
    path: str, configure: Configure, gateway: Server, openai_server: Server
) -> None:
    configure(gateway.url)

    async def call(base_url: str) -> None:
        async with get_async_llm_client(base_url=base_url) as client:
            await CALLS[path](client)

    run(call(gateway.url))
    with refusing() as url:
        run(call(url))

    assert [each.path.partition("?")[0] for each in gateway.received] == [f"/django/v1/{path}"]
    assert [each.path.partition("?")[0] for each in openai_server.received] == [f"/v1/{path}"]


def test_a_files_content_comes_as_it_is_from_either(configure: Configure, gateway: Server) -> None:
    configure(gateway.url)
    with refusing() as url:
        for client in (get_llm_client(), get_llm_client(base_url=url)):
            assert client.files.content("f1").read() == b'{"the file": "itself"}'


def test_asynchronous_raw_and_streamed_answers_say_which_way_they_came(
    configure: Configure,
) -> None:
    arguments: Any = {"model": CLAUDE, "messages": MESSAGES}

    async def call() -> None:
        async with get_async_llm_client() as client:
            raw = await client.chat.completions.with_raw_response.create(**arguments)
            assert raw.headers["x-llm-gateway-route"] == "openai"
            assert raw.headers["x-llm-gateway-model"] == STAND_IN
            assert raw.parse().choices[0].message.content == ANSWER
            opened = client.chat.completions.with_streaming_response.create(**arguments)
            async with opened as streamed:
                assert streamed.headers["x-llm-gateway-route"] == "openai"
                assert STAND_IN in "".join([piece async for piece in streamed.iter_text()])

    with refusing() as url:
        configure(url)
        run(call())


def test_raw_answers_can_be_had_from_the_client_itself(
    configure: Configure, gateway: Server
) -> None:
    configure(gateway.url)
    arguments: Any = {"model": CLAUDE, "messages": MESSAGES}

    raw = get_llm_client().with_raw_response.chat.completions.create(**arguments)
    assert raw.headers["x-llm-gateway-model"] == CLAUDE

    opened = get_llm_client().with_streaming_response.chat.completions.create(**arguments)
    with opened as streamed:
        assert ANSWER in streamed.parse().choices[0].message.content


def test_an_asynchronous_copy_with_an_http_client_of_ones_own_keeps_its_way(
    configure: Configure, openai_server: Server
) -> None:
    used: list[str] = []

    class Counting(openai.DefaultAsyncHttpxClient):
        async def send(self, request: Any, **options: Any) -> Any:
            used.append(request.url.path)
            return await super().send(request, **options)

    async def call(url: str) -> None:
        configure(url)
        async with Counting() as own, get_async_llm_client() as client:
            await achat(client.with_options(http_client=own), [])

    with refusing() as url:
        run(call(url))

    assert used == ["/django/v1/chat/completions", "/v1/chat/completions"]
    assert openai_server.models == [STAND_IN]


def test_a_stream_that_is_left_early_gives_its_connection_back(
    configure: Configure, gateway: Server
) -> None:
    configure(gateway.url)
    with get_llm_client() as client:
        stream = client.chat.completions.create(model=CLAUDE, messages=MESSAGES, stream=True)
        with stream:
            next(iter(stream))
        assert stream.response.is_closed
        chat(client, [])


VENDORS_KEYS = {
    "OPENAI_ADMIN_KEY": "sk-admin-of-openai",
    "ANTHROPIC_API_KEY": "sk-ant-key",
    "ANTHROPIC_AUTH_TOKEN": "sk-ant-token",
}


def test_the_gateway_gets_no_key_of_a_vendors_that_is_in_the_environment(
    configure: Configure, gateway: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(gateway.url)
    for name, key in VENDORS_KEYS.items():
        monkeypatch.setenv(name, key)
    arguments: Any = {"model": CLAUDE, "max_tokens": 9, "messages": MESSAGES}

    async def asynchronously() -> None:
        async with get_async_llm_client() as client, get_async_anthropic_client() as claude:
            await achat(client, [])
            await claude.messages.create(**arguments)

    client, claude = get_llm_client(), get_anthropic_client()
    chat(client, [])
    chat(client.with_options(timeout=5), [])
    claude.messages.create(**arguments)
    claude.with_options(timeout=5).messages.create(**arguments)
    run(asynchronously())
    # The administration of an organisation at OpenAI takes that key, where the SDK knows it.
    if hasattr(client, "admin"):
        with pytest.raises(TypeError, match="authentication"):
            client.admin.organization.projects.list()

    assert len(gateway.received) == 6
    for request in gateway.received:
        sent = " ".join(request.headers.values())
        assert GATEWAY_KEY in sent
        assert "sk-" not in sent


def test_anthropics_clients_share_connections_and_survive_each_others_end(
    configure: Configure, gateway: Server
) -> None:
    configure(gateway.url)
    arguments: Any = {"model": CLAUDE, "max_tokens": 9, "messages": MESSAGES}
    for team in range(5):
        with get_anthropic_client(team_id=team) as client:
            client.messages.create(**arguments)

    assert client.is_closed()
    with pytest.raises((RuntimeError, anthropic.APIConnectionError)):
        client.with_options(max_retries=0).messages.create(**arguments)
    assert gateway.connections == 1


FORK = """
import os, sys
from llm_gateway_client import get_llm_client

def call(client):
    model, messages = "gpt-5-mini", [{"role": "user", "content": "x"}]
    assert client.chat.completions.create(model=model, messages=messages).choices
    assert client.last_route.served_by == "gateway"

client = get_llm_client()
call(client)
child = os.fork()
call(get_llm_client())
if child:
    assert os.waitpid(child, 0)[1] == 0
    call(client)
"""


def test_both_sides_of_a_fork_are_served_on_connections_of_their_own(
    configure: Configure, start: StartServer
) -> None:
    gateway = start(answers)
    configure(gateway.url)

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert len(gateway.received) == 4
    assert gateway.connections == 2


def test_an_asynchronous_client_keeps_its_connection(configure: Configure, gateway: Server) -> None:
    configure(gateway.url)

    async def calls() -> None:
        async with get_async_llm_client() as client:
            await achat(client, [])
            await achat(client.with_options(timeout=5), [])

    run(calls())
    assert len(gateway.received) == 2
    assert gateway.connections == 1
