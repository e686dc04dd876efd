"""Which OpenAI model stands in, and what its request looks like."""

from __future__ import annotations

import json

import pytest

from llm_gateway_client.models import direct_body, direct_path, openai_model_for


@pytest.mark.parametrize(
    ("model", "stand_in"),
    [
        ("claude-opus-4-5", "gpt-5.2"),
        ("claude-sonnet-4-5", "gpt-5-mini"),
        ("claude-haiku-4-5", "gpt-5-nano"),
        ("claude-sonnet-4-20250514", "gpt-5-mini"),
        ("claude-3-5-haiku-latest", "gpt-5-nano"),
        ("claude-opus-4-5-20251101", "gpt-5.2"),
        ("claude-2.1", "gpt-5.2"),
        ("anthropic/claude-sonnet-4-5", "gpt-5-mini"),
        ("Claude-Haiku-4-5", "gpt-5-nano"),
        ("gpt-5-mini", "gpt-5-mini"),
        ("gpt-4.1", "gpt-4.1"),
        ("o3-mini", "o3-mini"),
        ("gemini/gemini-3-pro-preview", "gemini/gemini-3-pro-preview"),
        ("ft:gpt-4.1:claude-fans::1", "ft:gpt-4.1:claude-fans::1"),
        ("openai/gpt-4.1", "gpt-4.1"),
    ],
)
def test_each_model_has_its_stand_in(model: str, stand_in: str) -> None:
    assert openai_model_for(model) == stand_in


def test_a_body_that_needs_no_change_keeps_its_bytes() -> None:
    body = b'{ "temperature" : 0.5,\n "max_tokens": 7, "messages": [], "model": "gpt-4.1" }'

    direct = direct_body(body)

    assert direct == (body, "gpt-4.1", ())


def test_only_the_model_changes_where_the_stand_in_takes_all_the_rest() -> None:
    body = {
        "messages": [{"role": "user", "content": "“é”"}],
        "model": "claude-opus-4-5",
        "top_p": 1,
    }

    direct = direct_body(json.dumps(body).encode())

    assert json.loads(direct.content) == {**body, "model": "gpt-5.2"}
    assert direct.adjusted == ()


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b'{"model": 5}', b"{}", b"\xff"])
def test_a_body_without_a_model_is_left_alone(body: bytes) -> None:
    assert direct_body(body) == (body, None, ())


def test_a_model_in_the_path_has_its_stand_in_too() -> None:
    assert direct_path("models/claude-sonnet-4-5") == "models/gpt-5-mini"
    assert direct_path("models/gpt-4.1") == "models/gpt-4.1"
    assert direct_path("models") == "models"
    assert direct_path("chat/completions?x=models/claude") == "chat/completions?x=models/claude"
