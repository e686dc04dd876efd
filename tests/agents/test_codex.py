"""Codex in `exec` mode copies a file, with the tools that it has for each model."""

import json
import sys
import uuid

import pytest

import clock
from conftest import GATEWAY, KEY, SECRET, program, reached

# What OpenAI runs by itself (`web_search`) no other vendor has: the gateway refuses it there.
CONFIG = f"""
model_provider = "gateway"
approval_policy = "never"
sandbox_mode = "danger-full-access"
web_search = "disabled"

[analytics]
enabled = false

[model_providers.gateway]
name = "gateway"
base_url = "{GATEWAY}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""
PATCH = f"*** Begin Patch\n*** Add File: out.txt\n+{SECRET}*** End Patch"
COPY = "cp in.txt out.txt && cat out.txt"
SCRIPT = f"const done = await tools.exec_command({json.dumps({'cmd': COPY})}); text(JSON.stringify(done));"

# Which calls do it, by the tools that Codex offers the model: functions to a stranger, a freeform `apply_patch`, or
# scripts, which come as `additional_tools` in the middle of the input, in a namespace.
FUNCTIONS = [
    '[[sandbox:call=exec_command {"cmd": "cat in.txt"}]]',
    f"[[sandbox:call=exec_command {json.dumps({'cmd': COPY})}]]",
]
FREEFORM = ['[[sandbox:call=exec_command {"cmd": "cat in.txt"}]]', f"[[sandbox:call=apply_patch {PATCH}]]"]
SCRIPTS = [f"[[sandbox:call=exec {SCRIPT}]]"]
# Elsewhere a namespace is a part of the name.
FLAT_SCRIPTS = [f"[[sandbox:call=functions__exec {SCRIPT}]]"]


def codex(desk, prompt, model, more=""):
    settings = desk.home / ".codex"
    settings.mkdir()
    (settings / "config.toml").write_text(CONFIG + more)
    binary = program("@openai/codex-linux-*/vendor/*/bin/codex")
    printed = desk.run([binary, "exec", "--skip-git-repo-check", "--json", "--model", model, prompt], GATEWAY_KEY=KEY)
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    ("provider", "model", "calls"),
    [
        pytest.param("openai", "gpt-5.5", FREEFORM, id="gpt-5.5, freeform"),
        pytest.param("openai", "gpt-6-sol", SCRIPTS, id="gpt-6-sol, scripts"),
        pytest.param("anthropic", "claude-sonnet-4-6", FUNCTIONS, id="claude-sonnet-4-6, functions"),
        pytest.param("gemini", "gemini-3-pro-preview", FUNCTIONS, id="gemini-3-pro-preview, functions"),
        pytest.param("anthropic", "gpt-6-luna", FLAT_SCRIPTS, id="claude-sonnet-4-6 by another name, scripts"),
        pytest.param("gemini", "gpt-6-astra", FLAT_SCRIPTS, id="gemini-3-pro-preview by another name, scripts"),
    ],
)
def test_a_task_is_done_with(provider, model, calls, desk):
    mark = uuid.uuid4().hex
    events = codex(desk, f"Copy in.txt to out.txt ({mark}). [[sandbox:steps={len(calls)}]]{''.join(calls)}", model)
    assert desk.output.read_text() == SECRET
    assert [event for event in events if event["type"] in ("turn.failed", "error")] == []
    last = events[-1]
    assert last["type"] == "turn.completed"
    assert last["usage"]["input_tokens"] > 0 and last["usage"]["output_tokens"] > 0
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    assert items[-1]["type"] == "agent_message" and "The tools answered" in items[-1]["text"]

    requests = reached(provider, mark)
    assert len(requests) == len(calls) + 1
    assert all(KEY not in json.dumps(request) for request in requests)


# OpenAI's own models have to look for tools of servers, by a tool of OpenAI's.
@pytest.mark.parametrize(
    ("provider", "model"), [("anthropic", "claude-sonnet-4-6"), ("gemini", "gemini-3-pro-preview")]
)
def test_a_tool_without_arguments_is_called_by_a_model_of(provider, model, desk):
    mark = uuid.uuid4().hex
    server = f"\n[mcp_servers.desk]\ncommand = {json.dumps(sys.executable)}\nargs = {json.dumps([clock.__file__])}\n"
    prompt = f"How late is it? ({mark}) [[sandbox:steps=1]][[sandbox:call=mcp__desk__now {{}}]]"
    events = codex(desk, prompt, model, server)
    assert [event for event in events if event["type"] in ("turn.failed", "error")] == []
    requests = reached(provider, mark)
    assert len(requests) == 2
    assert clock.TIME in requests[-1]["text"]


def test_a_tool_that_only_openai_runs_is_refused_with_its_place(desk):
    mark = uuid.uuid4().hex
    settings = desk.home / ".codex"
    settings.mkdir()
    (settings / "config.toml").write_text(CONFIG.replace('web_search = "disabled"', ""))
    binary = program("@openai/codex-linux-*/vendor/*/bin/codex")
    command = [binary, "exec", "--skip-git-repo-check", "--json", "--model", "claude-sonnet-4-6", f"Hello ({mark})"]
    with pytest.raises(AssertionError) as failed:
        desk.run(command, GATEWAY_KEY=KEY)
    assert "tools[8] is run by its own provider (web_search)" in str(failed.value)
    assert reached("anthropic", mark) == []
