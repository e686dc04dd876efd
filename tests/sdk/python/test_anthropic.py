"""The `anthropic` package: Messages."""

import anthropic
import pytest

from conftest import ANTHROPIC_MODEL, CUT, KEY, RATE_LIMITED, SAY_HELLO, UNKNOWN_KEY, WEATHER_SCHEMA, anthropic_client

WEATHER = {"name": "get_weather", "description": "The weather in a city", "input_schema": WEATHER_SCHEMA}


def user(text):
    return [{"role": "user", "content": text}]


def ask(client, text, **options):
    options.setdefault("model", ANTHROPIC_MODEL)
    return client.messages.create(max_tokens=256, messages=user(text), **options)


def test_a_message_is_returned_whole(claude):
    message = ask(claude, SAY_HELLO, metadata={"user_id": "someone"})
    assert message.content[0].text == "Hello from the sandbox"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


def test_a_stream_folds_to_the_same_message(claude):
    with claude.messages.stream(model=ANTHROPIC_MODEL, max_tokens=256, messages=user(SAY_HELLO)) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(texts) == "Hello from the sandbox"
    assert len(texts) > 1
    whole = ask(claude, SAY_HELLO)
    assert final.content[0].text == whole.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert (final.usage.input_tokens, final.usage.output_tokens) == (whole.usage.input_tokens, whole.usage.output_tokens)


def test_a_tool_loop_comes_to_its_end(claude):
    messages = user("What is the weather in Paris?")
    options = {"model": ANTHROPIC_MODEL, "max_tokens": 256, "tools": [WEATHER]}
    first = claude.messages.create(messages=messages, **options)
    assert first.stop_reason == "tool_use"
    calls = [block for block in first.content if block.type == "tool_use"]
    assert calls[0].name == "get_weather"
    assert isinstance(calls[0].input["city"], str)

    messages.append({"role": "assistant", "content": first.content})
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees and sunny"} for call in calls]
    messages.append({"role": "user", "content": results})
    last = claude.messages.create(messages=messages, **options)
    assert last.stop_reason == "end_turn"
    assert last.content[0].text


def test_a_streamed_tool_call_can_be_put_together(claude):
    with claude.messages.stream(
        model=ANTHROPIC_MODEL, max_tokens=256, tools=[WEATHER], messages=user("What is the weather in Paris?")
    ) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use"
    assert "city" in [block for block in final.content if block.type == "tool_use"][0].input


def test_tokens_are_counted(claude):
    count = claude.messages.count_tokens(model=ANTHROPIC_MODEL, messages=user("Hello, how many tokens am I?"))
    assert count.input_tokens > 0


def test_models_are_listed(claude):
    models = list(claude.models.list())
    assert ANTHROPIC_MODEL in {model.id for model in models}
    assert all(model.type == "model" and model.display_name for model in models)


@pytest.mark.parametrize("base", ["", "/v1", "/wizard", "/wizard/v1"])
def test_a_base_url_works_with_and_without_v1(base):
    with anthropic_client(base) as client:
        assert ask(client, SAY_HELLO).content[0].text == "Hello from the sandbox"


def test_the_key_may_come_as_a_bearer_token():
    with anthropic_client(key=None, auth_token=KEY) as client:
        assert ask(client, SAY_HELLO).content


def test_an_unknown_key_is_an_authentication_error():
    with anthropic_client(key=UNKNOWN_KEY) as client, pytest.raises(anthropic.AuthenticationError) as caught:
        ask(client, "Hello")
    assert caught.value.status_code == 401
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "authentication_error"
    assert UNKNOWN_KEY not in str(caught.value)


def test_a_model_that_a_product_may_not_use_is_a_permission_error():
    with anthropic_client("/narrow") as client, pytest.raises(anthropic.PermissionDeniedError) as caught:
        ask(client, "Hello")
    assert caught.value.body["error"]["type"] == "permission_error"


def test_an_unknown_model_is_a_bad_request_error(claude):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(claude, "Hello", model="no-such-model")
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    assert "no-such-model" in str(caught.value)


def test_the_providers_own_bad_request_passes_with_its_words(claude):
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model=ANTHROPIC_MODEL, max_tokens=0, messages=user("Hello"))
    assert "max_tokens" in str(caught.value)


def test_the_providers_rate_limit_is_a_rate_limit_error(claude):
    with pytest.raises(anthropic.RateLimitError) as caught:
        ask(claude, RATE_LIMITED, model="claude-haiku-4-5")
    assert caught.value.status_code == 429


def test_a_stream_that_is_cut_raises_instead_of_ending(claude):
    seen = []
    with pytest.raises(anthropic.APIError):
        for event in ask(claude, CUT, stream=True):
            seen.append(event.type)
    assert seen[0] == "message_start"
    assert "message_stop" not in seen
