"""The `google-genai` package: generateContent."""

import pytest
from google.genai import errors, types

from conftest import GEMINI_MODEL, SAY_HELLO, UNKNOWN_KEY, google_client


def test_content_is_generated_whole(google):
    answer = google.models.generate_content(model=GEMINI_MODEL, contents=SAY_HELLO)
    assert answer.text == "Hello from the sandbox"
    assert answer.usage_metadata.total_token_count > 0


def test_content_is_streamed(google):
    pieces = list(google.models.generate_content_stream(model=GEMINI_MODEL, contents=SAY_HELLO))
    assert "".join(piece.text or "" for piece in pieces) == "Hello from the sandbox"
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_a_tool_is_called(google):
    weather = types.FunctionDeclaration(
        name="get_weather",
        parameters=types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]),
    )
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[weather])])
    contents = [types.UserContent("What is the weather in Paris?")]
    first = google.models.generate_content(model=GEMINI_MODEL, contents=contents, config=config)
    call = first.function_calls[0]
    assert call.name == "get_weather"

    contents.append(first.candidates[0].content)
    contents.append(types.UserContent(types.Part.from_function_response(name=call.name, response={"celsius": 18})))
    assert google.models.generate_content(model=GEMINI_MODEL, contents=contents, config=config).text


def test_tokens_are_counted(google):
    assert google.models.count_tokens(model=GEMINI_MODEL, contents="Hello, how many tokens am I?").total_tokens > 0


def test_a_product_has_a_base_url():
    client = google_client("/wizard")
    answer = client.models.generate_content(model=GEMINI_MODEL, contents=SAY_HELLO)
    assert answer.text == "Hello from the sandbox"


def test_an_unknown_key_is_a_client_error():
    client = google_client(key=UNKNOWN_KEY)
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=GEMINI_MODEL, contents="Hello")
    assert caught.value.code == 401
    assert caught.value.status == "UNAUTHENTICATED"
