"""Holds requests to the types of the vendors' own SDKs: what each of them would let a caller send.

OpenAI's and Anthropic's are typed dictionaries, which let unknown keys pass and drop them: what comes out has to be what
went in. Google's SDK converts, so that each part of its wire format is held to the class of that name, which forbids
unknown keys.
"""

from collections.abc import Iterator

from anthropic.types import message_create_params
from google.genai import types
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params, response_input_audio_param
from pydantic import TypeAdapter


def typed(adapter, complete=lambda body: None):
    def hold(body):
        complete(body)
        assert plain(adapter.validate_python(body)) == body

    return hold


def complete_responses(body):
    """Says what the types demand and the API does not: Codex leaves the first three out, and `auto` is the default. Audio
    has a type that stands in no list."""
    for item in body["input"] if isinstance(body["input"], list) else []:
        if item.get("role") == "assistant":
            item.setdefault("id", "msg_1")
            item.setdefault("status", "completed")
        parts = [part for part in (item.get("content"), item.get("output")) if isinstance(part, list)]
        for part in [part for found in parts for part in found]:
            if part["type"] == "output_text":
                part.setdefault("annotations", [])
            elif part["type"] == "input_image":
                part.setdefault("detail", "auto")
            elif part["type"] == "input_audio":
                AUDIO(part)
                part.clear()
                part.update({"type": "input_text", "text": "audio"})


def complete_anthropic(body):
    """The types left these out when new models did. The older ones take them, and the catalog knows which."""
    for field, kind in (("temperature", (int, float)), ("top_p", (int, float)), ("top_k", int)):
        assert isinstance(body.pop(field, 0), kind)


def plain(value):
    """Lists of the SDKs' types are iterables, which are only read and checked when somebody reads them."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, Iterator)) or type(value).__name__ == "ValidatorIterator":
        return [plain(each) for each in value]
    return value


GOOGLE = {
    "contents": TypeAdapter(list[types.Content]),
    "systemInstruction": TypeAdapter(types.Content),
    "tools": TypeAdapter(list[types.Tool]),
    "toolConfig": TypeAdapter(types.ToolConfig),
    "generationConfig": TypeAdapter(types.GenerationConfig),
    "safetySettings": TypeAdapter(list[types.SafetySetting]),
    "cachedContent": TypeAdapter(str),
    "serviceTier": TypeAdapter(str),
    "labels": TypeAdapter(dict[str, str]),
    "store": TypeAdapter(bool),
}


def google(body):
    for key, value in body.items():
        GOOGLE[key].validate_python(value)


AUDIO = typed(TypeAdapter(response_input_audio_param.ResponseInputAudioParam))
HOLD = {
    "openai_chat": typed(TypeAdapter(completion_create_params.CompletionCreateParams)),
    "openai_responses": typed(TypeAdapter(response_create_params.ResponseCreateParams), complete_responses),
    "anthropic": typed(TypeAdapter(message_create_params.MessageCreateParams), complete_anthropic),
    "gemini": google,
}
