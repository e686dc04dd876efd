"""PostHog's own wrappers and the gateway tell the same of a call.

Every call is made once, through the wrapper of the `posthog` package, to the gateway. Both tell PostHog of it.
"""

import asyncio
import base64

import anthropic
import openai
import pytest
from google.genai import errors, types

from agreement import agree
from conftest import ANTHROPIC_MODEL, GEMINI_MODEL, GROUPS, OPENAI_MODEL

# The wrapper leaves smaller ones in.
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()
DATA_URL = f"data:image/png;base64,{PNG}"

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = "What is the weather in Rome?"
# So many of the prompt's tokens were read from the provider's cache.
CACHED = "[[sandbox:cached=4]]Tell me about hedgehogs."
# No 429: the provider would be left alone for a moment, and every other test with it.
REFUSED = "[[sandbox:error=400]]"

delivery = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
said = pytest.mark.parametrize("what", ["words", "tools", "picture", "cached"])


def told(trace, **more):
    """What the wrapper wants to know of the event."""
    return {"posthog_distinct_id": "ann", "posthog_trace_id": trace, "posthog_groups": GROUPS, **more}


def assert_cached(what, theirs, ours):
    """That it says so is no accident of both leaving it out."""
    if what == "cached":
        assert theirs["$ai_cache_read_input_tokens"] == ours["$ai_cache_read_input_tokens"] == 4


def drained(answer, stream):
    return list(answer) if stream else answer


def chat_request(what, stream):
    request = {"model": OPENAI_MODEL, "user": "ann", "temperature": 0.5, "max_completion_tokens": 200}
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    content = CACHED if what == "cached" else "Tell me about hedgehogs."
    if what == "tools":
        content = WEATHER
        request["tools"] = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    if what == "picture":
        content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
    request["messages"] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": content}]
    return request


@delivery
@said
def test_chat(chat, stand_in, trace, what, stream):
    drained(chat.chat.completions.create(**chat_request(what, stream), **told(trace)), stream)
    assert_cached(what, *agree(stand_in.pair(trace)))


@delivery
def test_chat_async(async_chat, stand_in, trace, stream):
    async def call():
        answer = await async_chat.chat.completions.create(**chat_request("tools", stream), **told(trace))
        if stream:
            async for _ in answer:
                pass

    asyncio.run(call())
    agree(stand_in.pair(trace))


@delivery
@said
def test_responses(chat, stand_in, trace, what, stream):
    request = {"model": OPENAI_MODEL, "user": "ann", "temperature": 0.5, "instructions": "Be kind."}
    text = CACHED if what == "cached" else "Tell me about hedgehogs."
    content = [{"type": "input_text", "text": text}]
    if what == "tools":
        content = WEATHER
        request["tools"] = [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}]
    if what == "picture":
        content.append({"type": "input_image", "image_url": DATA_URL, "detail": "auto"})
    request["input"] = [{"role": "user", "content": content}]
    if stream:
        request["stream"] = True
    drained(chat.responses.create(**request, **told(trace)), stream)
    if not stream:
        assert_cached(what, *agree(stand_in.pair(trace)))
        return
    # The wrapper takes the tier that the first event names, which is the one asked for; the gateway the one that served.
    tier = ["$ai_service_tier", "$ai_model_parameters"]
    theirs, ours = agree(stand_in.pair(trace), but_for=tier)
    assert_cached(what, theirs, ours)
    assert (theirs["$ai_service_tier"], ours["$ai_service_tier"]) == ("auto", "default")
    assert ours["$ai_model_parameters"] == theirs["$ai_model_parameters"] | {"service_tier": "default"}


@delivery
@said
def test_messages(claude, stand_in, trace, what, stream):
    request = {"model": ANTHROPIC_MODEL, "max_tokens": 200, "system": "Be kind.", "metadata": {"user_id": "ann"}}
    content = CACHED if what == "cached" else "Tell me about hedgehogs."
    if what == "tools":
        content = WEATHER
        request["tools"] = [{"name": "get_weather", "input_schema": SCHEMA}]
    if what == "picture":
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    request["messages"] = [{"role": "user", "content": content}]
    if stream:
        request["stream"] = True
    drained(claude.messages.create(**request, **told(trace)), stream)
    assert_cached(what, *agree(stand_in.pair(trace)))


@delivery
@said
def test_gemini(google, stand_in, trace, what, stream):
    text = {"tools": WEATHER, "cached": CACHED}.get(what, "Tell me about hedgehogs.")
    parts = [{"text": text}]
    config = {"system_instruction": "Be kind.", "temperature": 0.5}
    if what == "tools":
        weather = types.FunctionDeclaration(name="get_weather", parameters_json_schema=SCHEMA)
        config["tools"] = [types.Tool(function_declarations=[weather])]
    if what == "picture":
        parts.append({"inline_data": {"mime_type": "image/png", "data": PNG}})
    call = google.models.generate_content_stream if stream else google.models.generate_content
    answer = call(
        model=GEMINI_MODEL,
        contents=[{"role": "user", "parts": parts}],
        config=types.GenerateContentConfig(**config),
        **told(trace),
    )
    drained(answer, stream)
    # The wrapper does not look into Google's `config`, and has tools and usage in the words of Google's package.
    theirs, ours = agree(stand_in.pair(trace), but_for=["$ai_model_parameters", "$ai_tools", "$ai_usage"])
    assert_cached(what, theirs, ours)
    assert theirs["$ai_model_parameters"] == {}
    assert ours["$ai_model_parameters"] == {"temperature": 0.5}
    if what == "tools":
        assert ours["$ai_tools"][0]["functionDeclarations"][0]["name"] == "get_weather"


@delivery
def test_a_call_that_fails_with_openai(chat, stand_in, trace, stream):
    messages = [{"role": "user", "content": REFUSED}]
    with pytest.raises(openai.BadRequestError):
        chat.chat.completions.create(model=OPENAI_MODEL, messages=messages, stream=stream, user="ann", **told(trace))
    # The wrapper tells what it would have said of an answer without a word.
    theirs, ours = agree(stand_in.pair(trace), but_for=["$ai_output_choices"])
    assert (ours["$ai_is_error"], ours["$ai_http_status"]) == (True, 400)


@delivery
def test_a_call_that_fails_with_anthropic(claude, stand_in, trace, stream):
    request = {"model": ANTHROPIC_MODEL, "max_tokens": 9, "metadata": {"user_id": "ann"}}
    messages = [{"role": "user", "content": REFUSED}]
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(**request, messages=messages, stream=stream, **told(trace))
    agree(stand_in.pair(trace), but_for=["$ai_output_choices"])


@delivery
def test_a_call_that_fails_with_gemini(google, stand_in, trace, stream):
    call = google.models.generate_content_stream if stream else google.models.generate_content
    with pytest.raises(errors.ClientError):
        answer = call(
            model=GEMINI_MODEL, contents=[{"role": "user", "parts": [{"text": REFUSED}]}], **told(trace)
        )
        drained(answer, stream)
    agree(stand_in.pair(trace), but_for=["$ai_output_choices"])


@delivery
def test_an_answer_cut_by_its_length_says_why(chat, stand_in, trace, stream):
    request = chat_request("words", stream) | {"max_completion_tokens": 3}
    drained(chat.chat.completions.create(**request, **told(trace)), stream)
    _, ours = agree(stand_in.pair(trace))
    assert ours["$ai_stop_reason"] == "length"


def test_nobody_named_is_told_alike_but_for_the_owner_of_the_key(chat, stand_in, trace):
    messages = [{"role": "user", "content": "Hello"}]
    chat.chat.completions.create(model=OPENAI_MODEL, messages=messages, posthog_trace_id=trace)
    theirs, ours = stand_in.pair(trace)
    # The wrapper knows nobody; the gateway knows whose key it is.
    assert (theirs["distinct_id"], ours["distinct_id"]) == (trace, "developer")
    assert theirs["properties"]["$process_person_profile"] is False
    assert "$process_person_profile" not in ours["properties"]
