"""What all suites share: the gateway that scripts/test-sdks started, and prompts that the sandbox understands."""

import json
import os
import urllib.parse
import urllib.request

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

GATEWAY = os.environ["LLM_GATEWAY_TEST_URL"]
KEY = os.environ["LLM_GATEWAY_TEST_KEY"]
UNKNOWN_KEY = "phx_nobody_was_ever_given_this_key"

OPENAI_MODEL = "gpt-4.1-mini"
ANTHROPIC_MODEL = "claude-sonnet-4-6"
GEMINI_MODEL = "gemini-2.5-flash"

# docs/sandbox.md
SAY_HELLO = "[[sandbox:say=Hello from the sandbox]]"
RATE_LIMITED = "[[sandbox:error=429]]"
CUT = "[[sandbox:words=40]][[sandbox:cut]]"

WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def reached(provider, text):
    """The requests with this text that got through to a simulated provider, in their order."""
    url = f"{os.environ['LLM_GATEWAY_TEST_' + provider.upper()]}/sandbox/requests?holds={urllib.parse.quote(text)}"
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["requests"]


def openai_client(product="", key=KEY, **options):
    options.setdefault("max_retries", 0)
    return openai.OpenAI(base_url=f"{GATEWAY}{product}/v1", api_key=key, **options)


def anthropic_client(product="", key=KEY, **options):
    options.setdefault("max_retries", 0)
    return anthropic.Anthropic(base_url=f"{GATEWAY}{product}", api_key=key, **options)


def google_client(product="", key=KEY):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=f"{GATEWAY}{product}"))


@pytest.fixture
def chat():
    with openai_client() as client:
        yield client


@pytest.fixture
def claude():
    with anthropic_client() as client:
        yield client


@pytest.fixture
def google():
    return google_client()
