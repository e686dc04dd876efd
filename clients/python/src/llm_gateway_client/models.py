"""Which OpenAI model stands in for an Anthropic one, and the request that it gets.

Pure: bytes in, bytes out. Knows nothing of HTTP, of the gateway or of who decided to go direct.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from .stand_in import fit

OPUS, SONNET, HAIKU = "gpt-5.2", "gpt-5-mini", "gpt-5-nano"
"""What serves in place of each Anthropic family; a family that is not listed counts as Opus."""


class DirectBody(NamedTuple):
    """A request's body as OpenAI is to see it."""

    content: bytes
    model: str | None
    """The model that OpenAI is asked for; None when the body names none."""
    adjusted: tuple[str, ...]
    """The fields that the stand-in model does not take and that were changed or left out."""


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
    adjusted = () if requested.lower().startswith("openai/") else fit(body, samples=model == OPUS)
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
