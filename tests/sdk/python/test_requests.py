"""Requests as SDKs, Claude Code and Codex send them, told in every other dialect.

Those of the two agents are shortened by hand: an agent's own words are long, and not ours to copy. What the agents themselves
send is held by `tests/agents`, where it goes through the same strict providers.

`examples/transcode.rs` writes our fixtures of requests in every dialect. Each result is held to the types of the SDK of
that dialect; and those that real callers could send go through the gateway to a model of each other family, whose
simulated provider refuses with its true 400 what it does not know, what is missing, and what is out of order.
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import ANTHROPIC_MODEL, GATEWAY, GEMINI_MODEL, KEY
from judges import requests

FIXTURES = Path(__file__).parents[2] / "fixtures/requests"
PROVIDERS = list(requests.HOLD)
CASES = [
    (path.relative_to(FIXTURES), provider)
    for path in sorted(FIXTURES.glob("*/*.json"))
    for provider in PROVIDERS
    if provider != path.parent.name
]
# What callers send that is whole: the other fixtures hold fields of tomorrow and tools that no other vendor has.
SENT = ("sdk_", "claude_code", "codex.json", "plain")

PROVIDER_TOOLS = ["tools[0]"] * 11 + ["tool_choice"]

# What no other dialect, or not this one, can say without changing its meaning, in the order in which it is refused: what is
# refused is taken out, and the rest is tried again (so that the places are those in what is left then), and judged.
REFUSED = {
    "anthropic/blocks.json": {
        provider: ["tools[0]"] * 2 + [f"messages[0].content[{place}]" for place in places]
        for provider, places in {
            "gemini": [3, 3, 5, 8, 9],
            "openai_chat": [3, 3, 4, 4, 7, 8],
            "openai_responses": [3, 3, 5, 8, 9],
        }.items()
    },
    "anthropic/container.json": dict.fromkeys(PROVIDERS, ["container"]),
    "anthropic/mcp_servers.json": dict.fromkeys(PROVIDERS, ["mcp_servers"]),
    "anthropic/tool_loop.json": dict.fromkeys(PROVIDERS, ["messages[2].content[3]"]),
    "gemini/cached_content.json": dict.fromkeys(PROVIDERS, ["cachedContent"]),
    "gemini/media.json": {
        "anthropic": ["contents[0].parts[3]"] + ["contents[0].parts[4]"] * 3,
        "openai_chat": ["contents[0].parts[5]"] * 3,
        "openai_responses": ["contents[0].parts[5]"] * 3,
    },
    "gemini/pictures.json": dict.fromkeys(PROVIDERS, ["generationConfig.responseModalities"]),
    "gemini/sdk_audio.json": {"anthropic": ["contents[0].parts[1]"]},
    "gemini/several_answers.json": dict.fromkeys(
        ["anthropic", "openai_responses"], ["generationConfig.candidateCount"]
    ),
    "gemini/tool_loop.json": dict.fromkeys(PROVIDERS, ["tools[1]"] * 2),
    "gemini/words.json": dict.fromkeys(PROVIDERS, ["generationConfig.responseMimeType"]),
    "openai_chat/media.json": {
        "anthropic": [f"messages[0].content[{place}]" for place in (3, 4, 4)],
        "gemini": ["messages[0].content[5]"] * 2,
        "openai_responses": ["messages[0].content[6]"],
    },
    "openai_chat/older_forms.json": dict.fromkeys(PROVIDERS, ["web_search_options", "functions", "messages[2]"]),
    "openai_chat/sdk_audio.json": {"anthropic": ["messages[0].content[1]"]},
    "openai_chat/several_answers.json": {"anthropic": ["n"], "openai_responses": ["n"]},
    "openai_chat/tool_loop.json": dict.fromkeys(PROVIDERS, ["tools[2]"]),
    "openai_responses/allowed_hosted.json": dict.fromkeys(PROVIDERS, ["tools[0]", "tool_choice"]),
    "openai_responses/conversation.json": dict.fromkeys(PROVIDERS, ["input[17]"]),
    "openai_responses/grammar_format.json": dict.fromkeys(PROVIDERS, ["text.format"]),
    "openai_responses/kept.json": dict.fromkeys(PROVIDERS, ["prompt"]),
    "openai_responses/media.json": {
        provider: [f"input[0].content[{place}]" for place in places]
        for provider, places in {
            "anthropic": [3, 3, 6, 6, 6],
            "gemini": [3, 3, 4, 5, 6],
            "openai_chat": [3, 4, 8],
        }.items()
    },
    "openai_responses/provider_tools.json": dict.fromkeys(
        PROVIDERS,
        PROVIDER_TOOLS
        + [f"input[{place}]" for place in (0, 0, 4, 6, 8, 9, 10, 16, 16)]
        + ["previous_response_id"],
    ),
}
# Of these nothing is left to ask.
NOTHING_LEFT = {"openai_responses/kept.json"}
# A model of each other vendor; OpenAI's are reached through Responses from abroad.
MODELS = {"openai_responses": "gpt-5.1", "anthropic": ANTHROPIC_MODEL, "gemini": GEMINI_MODEL}
# What the model itself cannot do, which the catalog knows.
BEYOND_THE_MODEL = {("gemini/sdk_audio.json", "openai_responses"): "contents[0].parts[1]"}
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
}


def cases(found):
    return pytest.mark.parametrize(("path", "provider"), found, ids=str)


@pytest.fixture(scope="module")
def transcoded(tmp_path_factory):
    out = tmp_path_factory.mktemp("requests")
    subprocess.run([os.environ["LLM_GATEWAY_TRANSCODE"], "requests", FIXTURES, out], check=True)
    return out


@cases(CASES)
def test_a_request_is_what_the_providers_sdk_would_send_but_for_what_is_refused(path, provider, transcoded):
    written, refused = [transcoded / path / f"{provider}.{form}" for form in ("json", "refused")]
    assert refused.read_text().splitlines() == REFUSED.get(str(path), {}).get(provider, [])
    if str(path) in NOTHING_LEFT:
        assert not written.exists()
        return
    requests.HOLD[provider](json.loads(written.read_bytes()))


def is_sent(path, provider):
    is_openais = path.parts[0].startswith("openai_")
    return path.name.startswith(SENT) and provider in MODELS and not (is_openais and provider == "openai_responses")


@cases([(path, provider) for path, provider in CASES if is_sent(path, provider)])
def test_the_strict_providers_take_what_real_callers_send(path, provider):
    caller = path.parts[0]
    model = MODELS[provider]
    body = json.loads((FIXTURES / path).read_bytes())
    if caller != "gemini":
        body["model"] = model
    request = urllib.request.Request(
        GATEWAY + PATHS[caller].format(model=model),
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {KEY}"},
    )
    [field] = REFUSED.get(str(path), {}).get(provider) or [BEYOND_THE_MODEL.get((str(path), provider))]
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert field is None and answer.status == 200 and answer.read()
    except urllib.error.HTTPError as error:
        assert field and error.code == 400 and field in error.read().decode()
