"""Claude Code in print mode copies a file: it reads one and writes another, by the calls that a simulated model makes."""

import json
import sys
import uuid

import pytest

import clock
from conftest import GATEWAY, KEY, SECRET, program, reached

# It talks to nobody but the gateway.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
}
TOOLS = "Read,Write"


def task(desk, mark):
    read = json.dumps({"file_path": str(desk.input)})
    write = json.dumps({"file_path": str(desk.output), "content": SECRET})
    return f"Copy in.txt to out.txt ({mark}). [[sandbox:steps=2]][[sandbox:call=Read {read}]][[sandbox:call=Write {write}]]"


def claude(desk, prompt, model, *options, **environment):
    binary = program("@anthropic-ai/claude-code-linux-*/claude")
    command = [binary, "-p", prompt, "--model", model, "--output-format", "json", "--allowedTools", TOOLS, *options]
    printed = desk.run(command, ANTHROPIC_BASE_URL=GATEWAY, **QUIET, **environment)
    return json.loads(printed)


# One that thinks adaptively, one that thinks by a budget; then one of each other family, thinking and not.
@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-sonnet-4-6"),
        ("anthropic", "claude-haiku-4-5"),
        ("openai", "gpt-5-mini"),
        ("openai", "gpt-4.1-mini"),
        ("gemini", "gemini-3-pro-preview"),
        ("gemini", "gemini-2.5-flash"),
    ],
)
def test_a_task_is_done_with_a_model_of(provider, model, desk):
    mark = uuid.uuid4().hex
    result = claude(desk, task(desk, mark), model, ANTHROPIC_AUTH_TOKEN=KEY)
    assert desk.output.read_text() == SECRET
    assert (result["subtype"], result["is_error"], result["num_turns"]) == ("success", False, 3)
    assert result["permission_denials"] == []
    assert "out.txt" in result["result"], "the last answer is what it prints"
    usage = result["usage"]
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"] > 0
    assert usage["output_tokens"] > 0

    requests = reached(provider, mark)
    assert len(requests) == 3
    assert SECRET.strip() in json.dumps(requests[-1]["body"])


# Tools of servers are kept back until the model looks for them, if that is not switched off. Found, they are named in blocks
# that only Anthropic has: when the gateway refuses these, Claude Code offers all tools at once.
@pytest.mark.parametrize("search", [False, True], ids=["offered", "looked for"])
@pytest.mark.parametrize(
    ("provider", "model"),
    [("anthropic", "claude-sonnet-4-6"), ("openai", "gpt-5-mini"), ("gemini", "gemini-3-pro-preview")],
)
def test_a_tool_without_arguments_is_called_by_a_model_of(provider, model, search, desk):
    mark = uuid.uuid4().hex
    config = json.dumps({"mcpServers": {"desk": {"command": sys.executable, "args": [clock.__file__]}}})
    options = ["--mcp-config", config, "--strict-mcp-config", "--allowedTools", "mcp__desk__now"]
    calls = ["mcp__desk__now {}"]
    if search:
        calls.insert(0, f"ToolSearch {json.dumps({'query': 'select:mcp__desk__now'})}")
    steps = f"[[sandbox:steps={len(calls)}]]" + "".join(f"[[sandbox:call={call}]]" for call in calls)
    settings = {"ANTHROPIC_AUTH_TOKEN": KEY, "ENABLE_TOOL_SEARCH": str(search).lower()}
    result = claude(desk, f"How late is it? ({mark}) {steps}", model, *options, **settings)
    assert (result["subtype"], result["num_turns"], result["permission_denials"]) == ("success", len(calls) + 1, [])
    assert clock.TIME in reached(provider, mark)[-1]["text"]


def test_what_it_says_reaches_anthropic_as_it_said_it(desk):
    mark = uuid.uuid4().hex
    claude(desk, task(desk, mark), "claude-sonnet-4-6", ANTHROPIC_AUTH_TOKEN=KEY)
    for request in reached("anthropic", mark):
        headers = {name.lower(): value for name, value in request["headers"]}
        assert request["target"] == "/v1/messages?beta=true"
        assert headers["anthropic-version"] == "2023-06-01"
        assert "claude-code-20250219" in headers["anthropic-beta"].split(",")
        # Anthropic takes the first block away if it stands alone, and first.
        assert request["body"]["system"][0]["text"].startswith("x-anthropic-billing-header:")
        assert request["body"]["context_management"]["edits"]
        assert request["body"]["thinking"]["type"] == "adaptive"
        assert KEY not in json.dumps(request)


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_other_vendors_models_get_neither_its_headers_nor_its_key(provider, desk):
    model = {"openai": "gpt-5-mini", "gemini": "gemini-3-pro-preview"}[provider]
    mark = uuid.uuid4().hex
    claude(desk, task(desk, mark), model, ANTHROPIC_AUTH_TOKEN=KEY)
    for request in reached(provider, mark):
        assert not [name for name, _ in request["headers"] if name.lower().startswith(("anthropic-", "x-claude-code-"))]
        assert KEY not in json.dumps(request)


def test_it_may_bring_the_key_as_an_api_key(desk):
    result = claude(desk, task(desk, uuid.uuid4().hex), "claude-sonnet-4-6", ANTHROPIC_API_KEY=KEY)
    assert result["subtype"] == "success"
    assert desk.output.read_text() == SECRET


# What each signed is in the history by then, and goes to its maker only.
def test_a_conversation_goes_on_with_models_of_other_vendors(desk):
    models = [
        ("gemini", "gemini-3-pro-preview"),
        ("anthropic", "claude-haiku-4-5"),
        ("openai", "gpt-5-mini"),
        ("anthropic", "claude-sonnet-4-6"),
        ("gemini", "gemini-3-pro-preview"),
    ]
    mark = uuid.uuid4().hex
    for number, (provider, model) in enumerate(models):
        desk.output.unlink(missing_ok=True)
        options = ["--continue"] if number else []
        result = claude(desk, task(desk, f"{mark}, {number}"), model, *options, ANTHROPIC_AUTH_TOKEN=KEY)
        assert (result["subtype"], result["num_turns"]) == ("success", 3), model
        assert desk.output.read_text() == SECRET
        last = reached(provider, f"{mark}, {number}")[-1]["text"]
        assert all(f"{mark}, {earlier}" in last for earlier in range(number))
