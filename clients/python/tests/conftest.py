"""What every test stands on: its own servers, its own environment, a process that knows nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_gateway_client import breaker, flag
from servers import Exchange, Server, answers

GATEWAY_KEY = "phx_the_key_the_gateway_knows_us_by"
OPENAI_KEY = "sk-the-key-that-openai-knows-us-by"

StartServer = Callable[[Callable[[Server, Exchange], None]], Server]
Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        ours = name.startswith("LLM_GATEWAY_") and not name.startswith("LLM_GATEWAY_TEST_")
        if ours or name.startswith(("OPENAI_", "ANTHROPIC_")):
            monkeypatch.delenv(name)
    breaker._breakers.clear()
    flag._flags.clear()
    flag._silence.clear()
    yield
    posthog: Any = sys.modules.get("posthog")
    if posthog is not None:
        posthog.api_key = posthog.project_api_key = posthog.default_client = None


@pytest.fixture
def start() -> Iterator[StartServer]:
    servers: list[Server] = []

    def start_server(respond: Callable[[Server, Exchange], None]) -> Server:
        servers.append(Server(respond))
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop()


@pytest.fixture
def gateway(start: StartServer) -> Server:
    return start(answers)


@pytest.fixture
def openai_server(start: StartServer) -> Server:
    return start(answers)


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, openai_server: Server) -> Configure:
    """Points the environment at a gateway, and at the stand-in for OpenAI."""

    def configure_for(gateway_url: str, **more: str) -> None:
        settings = {
            "LLM_GATEWAY_URL": gateway_url,
            "LLM_GATEWAY_API_KEY": GATEWAY_KEY,
            "OPENAI_API_KEY": OPENAI_KEY,
            "OPENAI_BASE_URL": f"{openai_server.url}/v1",
            "LLM_GATEWAY_CONNECT_TIMEOUT": "0.2",
            **more,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

    return configure_for


@pytest.fixture
def posthog_at() -> Callable[[Server], None]:
    """Sets up the real `posthog` package to ask this server."""

    def set_up(server: Server) -> None:
        import posthog

        package: Any = posthog
        package.api_key = package.project_api_key = "phc_project"
        package.host = server.url
        package.send = False
        package.default_client = None

    return set_up
