"""The `google-genai` package: generateContent."""

import json

import pydantic
import pytest
from google.genai import errors, types

from conftest import ANTHROPIC_MODEL, GEMINI_MODEL, OPENAI_MODEL, SAY_HELLO, UNKNOWN_KEY, google_client


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


class City(pydantic.BaseModel):
    name: str
    people: int | None


# The first has forms that are objects only, the second has none.
LISTING = [OPENAI_MODEL, "gpt-4-turbo", ANTHROPIC_MODEL, GEMINI_MODEL]


@pytest.mark.parametrize("model", LISTING)
@pytest.mark.parametrize("form", [list[City], list[str], City, City | str], ids=str)
def test_an_answer_may_have_any_form(google, model, form):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=form)
    whole = google.models.generate_content(model=model, contents="Which cities?", config=config)
    pieces = google.models.generate_content_stream(model=model, contents="Which cities?", config=config)
    for text in (whole.text, "".join(piece.text or "" for piece in pieces)):
        pydantic.TypeAdapter(form).validate_json(text)


@pytest.mark.parametrize("model", [*LISTING, "gpt-4-0613"])
def test_json_of_any_form_is_given(google, model):
    config = types.GenerateContentConfig(response_mime_type="application/json")
    answer = google.models.generate_content(model=model, contents="Which cities?", config=config)
    assert isinstance(json.loads(answer.text), dict)


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
