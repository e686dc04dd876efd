"""What users install: a wheel that is whole, and types that reach their own checks."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import llm_gateway_client

PROJECT = Path(__file__).parents[1]


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "MYPYPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(  # noqa: S603
        [sys.executable, *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_these_tests_run_is_the_installed_package() -> None:
    assert PROJECT not in Path(llm_gateway_client.__file__).parents
    files = importlib.metadata.files("llm-gateway-client") or []
    assert "llm_gateway_client/py.typed" in [str(file) for file in files]


def test_a_wheel_made_from_the_source_distribution_installs_and_imports(tmp_path: Path) -> None:
    run("-m", "hatchling", "build", "--target", "sdist", "-d", str(tmp_path), cwd=PROJECT)
    [source] = tmp_path.glob("*.tar.gz")
    quiet = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    alone = ("--no-build-isolation", "--no-deps", "--no-index")
    run(*quiet, "wheel", *alone, "--wheel-dir", str(tmp_path), str(source), cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")

    names = zipfile.ZipFile(wheel).namelist()
    expected = {f"llm_gateway_client/{file.name}" for file in (PROJECT / "src").glob("*/*.*")}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "llm_gateway_client/py.typed" in expected
    assert wheel.name.endswith("-py3-none-any.whl")

    target = tmp_path / "installed"
    run(*quiet, "install", *alone, "--target", str(target), str(wheel), cwd=tmp_path)
    show = "import llm_gateway_client as c; print(c.__file__, c.get_llm_client.__name__)"
    shown = run("-c", show, cwd=tmp_path, path=target)
    assert shown.strip() == f"{target}/llm_gateway_client/__init__.py get_llm_client"


CALLER = """
import anthropic
import openai

from llm_gateway_client import (
    get_anthropic_client,
    get_async_anthropic_client,
    get_async_llm_client,
    get_llm_client,
    Route,
)

plain: openai.OpenAI = get_llm_client(team_id=1, product="wizard", timeout=3.5)
plain_async: openai.AsyncOpenAI = get_async_llm_client("1", default_headers={"a": "b"})
claude: anthropic.Anthropic = get_anthropic_client()
claude_async: anthropic.AsyncAnthropic = get_async_anthropic_client(api_key="phx_x")

client = get_llm_client().with_options(max_retries=1).copy(timeout=2)
route: Route | None = client.last_route
reveal_type(client)
reveal_type(client.chat.completions.create(model="m", messages=[]))
reveal_type(client.chat.completions.create(model="m", messages=[], stream=True))
reveal_type(client.responses.create(model="m", input="x").output_text)
"""
REVEALED = (
    "llm_gateway_client.clients.GatewayOpenAI",
    "openai.types.chat.chat_completion.ChatCompletion",
    "openai._streaming.Stream[openai.types.chat.chat_completion_chunk.ChatCompletionChunk]",
    "str",
)


def test_a_callers_strict_check_sees_the_sdks_types(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(CALLER)
    cache = Path(sys.prefix) / "mypy-of-callers"

    shown = run("-m", "mypy", "--strict", "--cache-dir", str(cache), "caller.py", cwd=tmp_path)

    revealed = re.findall(r'Revealed type is "(.*)"', shown)
    assert [each.removeprefix("builtins.") for each in revealed] == list(REVEALED)
