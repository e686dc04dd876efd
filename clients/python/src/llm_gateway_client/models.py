"""Which OpenAI model stands in for an Anthropic one, and what its request must look like.

Pure: bytes in, bytes out. Knows nothing of HTTP, of the gateway or of who decided to go direct.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

OPUS, SONNET, HAIKU = "gpt-5.2", "gpt-5-mini", "gpt-5-nano"
"""What serves in place of each Anthropic family; a family that is not listed counts as Opus."""


class DirectBody(NamedTuple):
    """A request's body as OpenAI is to see it."""

    content: bytes
    model: str | None
    """The model that OpenAI is asked for; None when the body names none."""
    adjusted: tuple[str, ...]
    """The fields that the stand-in model does not take and that were renamed or left out."""


def openai_model_for(model: str) -> str:
    """The model to ask OpenAI for: an Anthropic one is mapped by family, any other is kept.

    `openai/` is the gateway's way of naming a provider and no part of OpenAI's own name for the
    model, so it is taken off.
    """
    name = model.lower()
    if name.startswith("openai/"):
        return model[len("openai/") :]
    if not name.startswith(("claude", "anthropic/")):
        return model
    if "haiku" in name:
        return HAIKU
    if "sonnet" in name:
        return SONNET
    return OPUS


def direct_body(content: bytes) -> DirectBody:
    """The same request for OpenAI. A body that needs no change keeps its bytes."""
    body = _object(content)
    requested = body.get("model")
    if not isinstance(requested, str):
        return DirectBody(content, None, ())
    model = openai_model_for(requested)
    if model == requested:
        return DirectBody(content, model, ())
    body["model"] = model
    adjusted = () if requested.lower().startswith("openai/") else _fit(body, model)
    return DirectBody(json.dumps(body, ensure_ascii=False).encode(), model, adjusted)


def requested_model(content: bytes) -> str | None:
    """The model that a body names, if it names one."""
    model = _object(content).get("model")
    return model if isinstance(model, str) else None


def direct_path(path: str) -> str:
    """The path below the base URL: `models/claude-opus-4-5` asks for the stand-in as well."""
    prefix, _, model = path.partition("/")
    if prefix != "models" or not model:
        return path
    requested = unquote(model)
    mapped = openai_model_for(requested)
    return path if mapped == requested else f"models/{quote(mapped, safe='')}"


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _fit(body: dict[str, Any], model: str) -> tuple[str, ...]:
    # Claude takes these fields and OpenAI's reasoning models answer them with a 400: they know
    # `max_tokens` only by its newer name, and sampling only when no reasoning effort is spent.
    # https://platform.openai.com/docs/guides/latest-model, "parameter compatibility"
    adjusted: list[str] = []
    if "max_tokens" in body and "messages" in body:
        limit = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", limit)
        adjusted.append("max_tokens")
    if not _samples(body, model):
        for field in ("temperature", "top_p"):
            if body.pop(field, None) is not None:
                adjusted.append(field)
    return tuple(adjusted)


def _samples(body: dict[str, Any], model: str) -> bool:
    if model != OPUS:
        return False
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    return (body.get("reasoning_effort") or effort or "none") == "none"
