"""The `openai` package: Chat Completions and Responses."""

import json

import openai
import pytest

from conftest import CUT, OPENAI_MODEL, RATE_LIMITED, SAY_HELLO, UNKNOWN_KEY, WEATHER_SCHEMA, openai_client

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather in a city", "parameters": WEATHER_SCHEMA},
}


def user(text):
    return [{"role": "user", "content": text}]


def test_a_completion_is_returned_whole(chat):
    completion = chat.chat.completions.create(model=OPENAI_MODEL, messages=user(SAY_HELLO), user="someone")
    choice = completion.choices[0]
    assert choice.message.content == "Hello from the sandbox"
    assert choice.finish_reason == "stop"
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def test_a_raw_response_names_request_provider_and_model(chat):
    raw = chat.chat.completions.with_raw_response.create(model=OPENAI_MODEL, messages=user("Hello"))
    assert raw.headers["x-request-id"]
    assert raw.headers["x-llm-gateway-provider"] == "openai"
    assert raw.headers["x-llm-gateway-model"] == OPENAI_MODEL
    assert raw.parse().choices[0].message.content


def test_a_stream_adds_up_and_has_no_usage_unless_asked(chat):
    chunks = list(chat.chat.completions.create(model=OPENAI_MODEL, messages=user(SAY_HELLO), stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "Hello from the sandbox"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    assert len(chunks) > 2


def test_a_stream_that_was_asked_for_usage_ends_with_it(chat):
    chunks = list(
        chat.chat.completions.create(
            model=OPENAI_MODEL, messages=user("Hello"), stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0
    assert [chunk for chunk in chunks if chunk.usage] == chunks[-1:]


def test_a_tool_loop_comes_to_its_end(chat):
    messages = user("What is the weather in Paris?")
    first = chat.chat.completions.create(model=OPENAI_MODEL, messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    calls = first.choices[0].message.tool_calls
    assert calls[0].function.name == "get_weather"
    assert isinstance(json.loads(calls[0].function.arguments)["city"], str)

    messages.append(first.choices[0].message)
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"} for call in calls]
    last = chat.chat.completions.create(model=OPENAI_MODEL, messages=messages, tools=[WEATHER])
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].message.content


def test_a_streamed_tool_call_can_be_put_together(chat):
    with chat.chat.completions.stream(
        model=OPENAI_MODEL, messages=user("What is the weather in Paris?"), tools=[WEATHER]
    ) as stream:
        completion = stream.get_final_completion()
    call = completion.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)


def test_a_response_is_returned_whole(chat):
    response = chat.responses.create(model=OPENAI_MODEL, input=SAY_HELLO)
    assert response.status == "completed"
    assert response.output_text == "Hello from the sandbox"
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0


def test_a_response_is_streamed_event_by_event(chat):
    events = list(chat.responses.create(model=OPENAI_MODEL, input=SAY_HELLO, stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == (
        "Hello from the sandbox"
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_a_tool_loop_on_responses_comes_to_its_end(chat):
    tools = [{"type": "function", "name": "get_weather", "parameters": WEATHER_SCHEMA, "strict": False}]
    conversation = user("What is the weather in Paris?")
    first = chat.responses.create(model=OPENAI_MODEL, input=conversation, tools=tools, store=False)
    calls = [item for item in first.output if item.type == "function_call"]
    assert calls[0].name == "get_weather"

    conversation += [item.model_dump(exclude_none=True) for item in first.output]
    conversation += [
        {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees and sunny"} for call in calls
    ]
    last = chat.responses.create(model=OPENAI_MODEL, input=conversation, tools=tools, store=False)
    assert last.status == "completed"
    assert last.output_text


def test_models_are_listed(chat):
    listed = {model.id for model in chat.models.list()}
    assert OPENAI_MODEL in listed
    assert any(model.startswith("claude-") for model in listed)
    assert chat.models.retrieve(OPENAI_MODEL).id == OPENAI_MODEL


@pytest.mark.parametrize("product", ["/llm_gateway", "/array", "/wizard", "/django"])
def test_every_product_has_a_base_url(product):
    with openai_client(product) as client:
        completion = client.chat.completions.create(model=OPENAI_MODEL, messages=user(SAY_HELLO))
    assert completion.choices[0].message.content == "Hello from the sandbox"


@pytest.mark.parametrize("key", [UNKNOWN_KEY, "sk-not-one-of-ours", "phx_"])
def test_an_unknown_key_is_an_authentication_error(key):
    with openai_client(key=key) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model=OPENAI_MODEL, messages=user("Hello"))
    assert caught.value.status_code == 401
    assert caught.value.code == "invalid_api_key"
    assert caught.value.type == "authentication_error"
    assert key not in str(caught.value) or key == "phx_"


def test_a_model_that_a_product_may_not_use_is_a_permission_error():
    with openai_client("/narrow") as client:
        assert client.chat.completions.create(model=OPENAI_MODEL, messages=user("Hello")).choices
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(model="gpt-4o", messages=user("Hello"))
        assert [model.id for model in client.models.list() if not model.id.startswith(OPENAI_MODEL)] == []
    assert caught.value.status_code == 403
    assert caught.value.code == "model_not_allowed"


def test_a_product_without_api_keys_is_a_permission_error():
    with openai_client("/keyless") as client, pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model=OPENAI_MODEL, messages=user("Hello"))
    assert caught.value.code == "product_access_denied"


def test_an_unknown_product_is_a_not_found_error():
    with openai_client("/nowhere") as client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=OPENAI_MODEL, messages=user("Hello"))
    assert "wizard" in str(caught.value)


def test_an_unknown_model_is_a_bad_request_error(chat):
    with pytest.raises(openai.BadRequestError) as caught:
        chat.chat.completions.create(model="no-such-model", messages=user("Hello"))
    assert caught.value.status_code == 400
    assert caught.value.code == "model_not_found"
    assert "no-such-model" in str(caught.value)


def test_missing_messages_are_a_bad_request_error(chat):
    with pytest.raises(openai.BadRequestError) as caught:
        chat.post("/chat/completions", cast_to=object, body={"model": OPENAI_MODEL})
    assert caught.value.code == "missing_required_parameter"
    assert caught.value.param == "messages"


# A model that was rate limited is left alone for a while, so each test takes another one.
@pytest.mark.parametrize(("model", "stream"), [("gpt-4o-mini", False), ("gpt-4.1-nano", True)])
def test_the_providers_rate_limit_is_a_rate_limit_error(chat, model, stream):
    with pytest.raises(openai.RateLimitError) as caught:
        chat.chat.completions.create(model=model, messages=user(RATE_LIMITED), stream=stream)
    assert caught.value.status_code == 429


def test_a_stream_that_is_cut_raises_instead_of_ending(chat):
    seen = []
    with pytest.raises(openai.APIError):
        for chunk in chat.chat.completions.create(model=OPENAI_MODEL, messages=user(CUT), stream=True):
            seen.append(chunk)
    assert seen, "the stream had begun"
    assert all(choice.finish_reason is None for chunk in seen for choice in chunk.choices)


def test_a_response_stream_that_is_cut_does_not_complete(chat):
    types = []
    try:
        types = [event.type for event in chat.responses.create(model=OPENAI_MODEL, input=CUT, stream=True)]
    except openai.APIError:
        return
    assert types[-1] in ("error", "response.failed")
    assert "response.completed" not in types
