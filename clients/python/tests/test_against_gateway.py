"""Against a gateway that is really there: models, dialects, streams, and a refusal.

Its address is in LLM_GATEWAY_TEST_URL, and it knows the development key.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from calls import SHAPES, Outcome, Shape, run
from conftest import Configure
from llm_gateway_client import get_anthropic_client, get_async_llm_client, get_llm_client
from servers import Server

URL = os.environ.get("LLM_GATEWAY_TEST_URL", "")
KEY = "phx_dev_local_test_api_key_1234567890abcdef"

pytestmark = pytest.mark.gateway


@pytest.fixture(autouse=True)
def _there_is_a_gateway() -> None:
    assert URL, "LLM_GATEWAY_TEST_URL is not set; set it to the address of a running gateway"


@pytest.mark.parametrize(
    "model",
    [
        "gpt-5.2",
        "gpt-5-mini",
        "gpt-5-nano",
        "claude-opus-4-5",
        "claude-sonnet-4-5",
        "claude-haiku-4-5",
    ],
)
def test_each_supported_model_answers_through_the_gateway(
    model: str, configure: Configure, openai_server: Server
) -> None:
    configure(URL, LLM_GATEWAY_API_KEY=KEY)
    client = get_llm_client(team_id=1)

    response = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], user="user_distinct_id_123"
    )

    assert response.choices[0].message.content
    assert client.last_route is not None
    assert client.last_route.served_by == "gateway"
    assert (client.last_route.model or "").startswith(model)
    assert openai_server.received == []


@pytest.mark.parametrize("stream", [False, True])
def test_responses_answer_through_the_gateway(stream: bool, configure: Configure) -> None:
    configure(URL, LLM_GATEWAY_API_KEY=KEY)
    client: Any = get_llm_client(team_id=1)

    answer = client.responses.create(model="gpt-5-mini", input="Hello", stream=stream)

    if stream:
        kinds = [event.type for event in answer]
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
    else:
        assert answer.output_text


def test_a_stream_arrives_through_the_gateway(configure: Configure) -> None:
    configure(URL, LLM_GATEWAY_API_KEY=KEY)

    async def call() -> str:
        async with get_async_llm_client(team_id=1) as client:
            stream = await client.chat.completions.create(
                model="claude-haiku-4-5",
                messages=[{"role": "user", "content": "Hello"}],
                stream=True,
            )
            pieces = [c.choices[0].delta.content or "" async for c in stream if c.choices]
            return "".join(pieces)

    assert run(call())


def test_the_anthropic_client_is_answered(configure: Configure) -> None:
    configure(URL, LLM_GATEWAY_API_KEY=KEY)

    message = get_anthropic_client(team_id=1).messages.create(
        model="claude-haiku-4-5", max_tokens=64, messages=[{"role": "user", "content": "Hello"}]
    )

    assert message.content[0].type == "text"


def test_the_models_are_listed(configure: Configure) -> None:
    configure(URL, LLM_GATEWAY_API_KEY=KEY)

    assert "gpt-5-mini" in [model.id for model in get_llm_client().models.list()]


@pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES if "parse" not in shape.name], ids=lambda shape: shape.name
)
def test_a_refusal_of_the_gateway_is_the_callers_to_see(
    shape: Shape, configure: Configure, openai_server: Server
) -> None:
    configure(URL, LLM_GATEWAY_API_KEY="phx_nobody_has_this_key_00000000000000000")

    outcome = shape.call(get_llm_client())

    assert outcome == Outcome("", "AuthenticationError")
    assert openai_server.received == []
