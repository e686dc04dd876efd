"""Makes a request that was meant for Claude one that OpenAI's GPT-5 models answer.

They answer with a 400 what the gateway takes for Claude: that is renamed, brought to the nearest
value, or left out, and named. What both take is not touched.

Sources: https://platform.openai.com/docs/guides/latest-model, "parameter compatibility", and
https://platform.openai.com/docs/guides/reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How hard to think, from little to much: the words that callers use."""
WITH_SAMPLING = ("none", "low", "medium", "high", "xhigh")
"""The efforts of a model that, at `none`, does not reason and samples as others do (GPT-5.2)."""
ALWAYS_REASONING = ("minimal", "low", "medium", "high")
"""The efforts of a model that always reasons (GPT-5 mini and nano)."""
LEAST_OUTPUT_TOKENS = 16
"""What Responses take as a limit at least."""

# Claude has no such thing either, and the gateway leaves them out for it; but `stop` is a loss.
_NEVER_TAKEN = ("stop", "presence_penalty", "frequency_penalty", "logit_bias", "top_k", "thinking")
_SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")
# Thoughts that the gateway gave to the caller to bring back, and hints for Claude's cache.
_THOUGHTS = ("reasoning_details", "reasoning_content", "reasoning")
_CACHE_HINT = "cache_control"
_FOREIGN_SEAL = "lgwMark1"
"""What the gateway's packing of another vendor's encrypted thoughts begins with."""


def fit(body: dict[str, Any], *, samples: bool) -> tuple[str, ...]:
    """Changes the body in place; returns the fields that were changed or left out.

    `samples` says which kind of model it is for: `WITH_SAMPLING`, or else `ALWAYS_REASONING`.
    """
    if "messages" in body:
        adjusted = _fit_chat(body)
    elif "input" in body:
        adjusted = _fit_responses(body)
    else:
        return ()
    adjusted += _fit_effort(body, samples)
    reasons = not samples or _effort(body) not in (None, "none")
    fields = _NEVER_TAKEN + _SAMPLING if reasons else _NEVER_TAKEN
    adjusted += [field for field in fields if body.pop(field, None) is not None]
    return tuple(adjusted)


def _fit_effort(body: dict[str, Any], samples: bool) -> list[str]:
    asked, efforts = _effort(body), WITH_SAMPLING if samples else ALWAYS_REASONING
    if asked in EFFORTS and asked not in efforts:
        place = EFFORTS.index(asked)
        # Of two that are as near, the lesser. A word that is unknown here is OpenAI's to judge.
        return [_ask_for(body, min(efforts, key=lambda each: abs(EFFORTS.index(each) - place)))]
    limit = body.get("max_completion_tokens") or body.get("max_output_tokens")
    if asked is None and limit is not None and not samples:
        # The limit was meant for the answer. These models would spend it on thoughts that nobody
        # has asked for, and might answer nothing. With tools, `minimal` has limits of its own.
        return [_ask_for(body, "low" if body.get("tools") else "minimal")]
    return []


def _effort(body: dict[str, Any]) -> Any:
    if "messages" in body:
        return body.get("reasoning_effort")
    reasoning = body.get("reasoning")
    return reasoning.get("effort") if isinstance(reasoning, dict) else None


def _ask_for(body: dict[str, Any], effort: str) -> str:
    """Sets the effort; returns the name of the field that has it."""
    if "messages" in body:
        body["reasoning_effort"] = effort
        return "reasoning_effort"
    reasoning = body.get("reasoning")
    body["reasoning"] = {**(reasoning if isinstance(reasoning, dict) else {}), "effort": effort}
    return "reasoning.effort"


def _fit_chat(body: dict[str, Any]) -> list[str]:
    adjusted: list[str] = []
    if "max_tokens" in body:
        limit = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", limit)
        adjusted.append("max_tokens")
    messages = list(_objects(body["messages"]))
    if _drop(messages, _THOUGHTS):
        adjusted.append("reasoning")
    parts = [part for message in messages for part in _objects(message.get("content"))]
    if _drop([*messages, *parts, *_objects(body.get("tools"))], (_CACHE_HINT,)):
        adjusted.append(_CACHE_HINT)
    return adjusted


def _fit_responses(body: dict[str, Any]) -> list[str]:
    adjusted: list[str] = []
    limit = body.get("max_output_tokens")
    if isinstance(limit, int) and limit < LEAST_OUTPUT_TOKENS:
        body["max_output_tokens"] = LEAST_OUTPUT_TOKENS
        adjusted.append("max_output_tokens")
    if isinstance(body["input"], list):
        kept = [item for item in body["input"] if not _is_foreign_thought(item)]
        if len(kept) < len(body["input"]):
            body["input"] = kept
            adjusted.append("reasoning")
    return adjusted


def _is_foreign_thought(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.get("type") == "reasoning"
        and str(item.get("encrypted_content")).startswith(_FOREIGN_SEAL)
    )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _drop(objects: list[dict[str, Any]], fields: tuple[str, ...]) -> bool:
    """Whether there was anything to drop."""
    found = False
    for each in objects:
        for field in fields:
            found |= each.pop(field, None) is not None
    return found
