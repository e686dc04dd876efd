"""What OpenAI's models get in place of what was meant for Claude."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_gateway_client.models import direct_body

OPUS, SONNET = "claude-opus-4-5", "claude-sonnet-4-5"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}


def sent(body: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body without its model, and what was changed."""
    direct = direct_body(json.dumps(body).encode())
    content: dict[str, Any] = json.loads(direct.content)
    assert content.pop("model") == direct.model
    return content, direct.adjusted


@pytest.mark.parametrize("model", [OPUS, SONNET])
@pytest.mark.parametrize(
    "both_take",
    [
        {"user": "u1", "stream": True, "stream_options": {"include_usage": True}},
        {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto"},
        {"reasoning_effort": "high", "max_completion_tokens": 5, "seed": 1, "n": 1},
        {"response_format": {"type": "json_object"}, "metadata": {"a": "b"}},
    ],
)
def test_what_both_take_is_not_touched(model: str, both_take: dict[str, Any]) -> None:
    assert sent({"model": model, **ASK, **both_take}) == ({**ASK, **both_take}, ())


@pytest.mark.parametrize(
    "field", ["stop", "presence_penalty", "frequency_penalty", "logit_bias", "top_k", "thinking"]
)
@pytest.mark.parametrize("model", [OPUS, SONNET])
def test_what_no_stand_in_takes_is_left_out_and_named(model: str, field: str) -> None:
    assert sent({"model": model, **ASK, field: 1}) == (ASK, (field,))


@pytest.mark.parametrize("field", ["temperature", "top_p", "logprobs", "top_logprobs"])
def test_sampling_is_kept_only_where_no_reasoning_goes_on(field: str) -> None:
    body = {**ASK, field: 1}

    assert sent({"model": OPUS, **body}) == (body, ())
    assert sent({"model": SONNET, **body}) == (ASK, (field,))
    reasoning = {"reasoning_effort": "low"}
    assert sent({"model": OPUS, **body, **reasoning}) == ({**ASK, **reasoning}, (field,))


@pytest.mark.parametrize(
    ("model", "asked", "given"),
    [
        (OPUS, "none", "none"),
        (OPUS, "minimal", "none"),
        (OPUS, "xhigh", "xhigh"),
        (OPUS, "max", "xhigh"),
        (SONNET, "none", "minimal"),
        (SONNET, "minimal", "minimal"),
        (SONNET, "xhigh", "high"),
        (SONNET, "max", "high"),
        (SONNET, "a word to come", "a word to come"),
    ],
)
def test_an_effort_becomes_the_nearest_that_the_stand_in_has(
    model: str, asked: str, given: str
) -> None:
    changed = asked != given

    chat = sent({"model": model, **ASK, "reasoning_effort": asked})
    responses = sent({"model": model, "input": "x", "reasoning": {"effort": asked}})

    assert chat == ({**ASK, "reasoning_effort": given}, ("reasoning_effort",) * changed)
    assert responses == (
        {"input": "x", "reasoning": {"effort": given}},
        ("reasoning.effort",) * changed,
    )


def test_a_limit_is_not_spent_on_thoughts_that_nobody_asked_for() -> None:
    tools = [{"type": "function", "name": "f"}]

    chat, changed = sent({"model": SONNET, **ASK, "max_tokens": 50})
    assert chat == {**ASK, "max_completion_tokens": 50, "reasoning_effort": "minimal"}
    assert changed == ("max_tokens", "reasoning_effort")

    responses, _ = sent({"model": SONNET, "input": "x", "max_output_tokens": 50, "tools": tools})
    assert responses["reasoning"] == {"effort": "low"}

    asked, _ = sent({"model": SONNET, **ASK, "max_tokens": 50, "reasoning_effort": "high"})
    assert asked["reasoning_effort"] == "high"
    # This one does not reason unless asked to.
    assert "reasoning_effort" not in sent({"model": OPUS, **ASK, "max_tokens": 50})[0]


def test_a_limit_below_the_least_of_responses_is_raised_to_it() -> None:
    body, changed = sent({"model": OPUS, "input": "x", "max_output_tokens": 5})

    assert body == {"input": "x", "max_output_tokens": 16}
    assert changed == ("max_output_tokens",)


def test_thoughts_and_cache_hints_that_were_for_claude_are_left_out() -> None:
    hint = {"cache_control": {"type": "ephemeral"}}
    thoughts = {"reasoning_content": "hm", "reasoning_details": [{"type": "reasoning.text"}]}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "x", **hint}]},
        {"role": "user", "content": "x", **hint},
        {"role": "assistant", "content": None, "tool_calls": [call], **thoughts},
        {"role": "tool", "tool_call_id": "c1", "content": "y"},
    ]
    tools = [{"type": "function", "function": {"name": "f"}, **hint}]

    body, changed = sent({"model": OPUS, "messages": messages, "tools": tools})

    assert body == {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "x"}]},
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "y"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    assert changed == ("reasoning", "cache_control")


def test_encrypted_thoughts_of_claude_are_left_out_and_openais_are_kept() -> None:
    claude = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "lgwMark1abc"}
    openai = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"}
    question = {"role": "user", "content": "x"}

    body, changed = sent({"model": OPUS, "input": [question, claude, openai]})

    assert body == {"input": [question, openai]}
    assert changed == ("reasoning",)


@pytest.mark.parametrize(
    "odd",
    [
        {"messages": "x"},
        {"messages": [1, None, {"content": [1, "a"]}]},
        {"messages": [], "tools": {}},
        {"input": [1, {"type": "reasoning"}], "reasoning": "high"},
        {"input": "x", "max_output_tokens": "5", "reasoning": {"effort": [1]}},
        {"input": None},
        {"prompt": "x", "stop": "y", "max_tokens": 5},
    ],
)
@pytest.mark.parametrize("model", [OPUS, SONNET])
def test_what_makes_no_sense_is_openais_to_judge(model: str, odd: dict[str, Any]) -> None:
    assert sent({"model": model, **odd}) == (odd, ())
