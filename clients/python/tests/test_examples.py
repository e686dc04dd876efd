"""The examples of the documents run as written, base URL aside, against a gateway that is there.

Its address is in LLM_GATEWAY_TEST_URL, and it knows the development key, as the examples do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import StartServer
from examples import ADDRESS, CLIENT_README, GATEWAY_README, python_examples
from servers import ANSWER, Server, flag_is
from test_against_gateway import KEY, URL

pytestmark = pytest.mark.gateway

TESTS = Path(__file__).parent
SDKS = ("openai", "anthropic")


def test_the_documents_have_the_examples_that_are_run_here() -> None:
    openai, anthropic = python_examples(GATEWAY_README)
    assert openai.startswith("from openai import OpenAI\n")
    assert anthropic.startswith("import anthropic\n")
    for example in (openai, anthropic):
        assert f'base_url="{ADDRESS}/v1"' in example
        assert f'api_key="{KEY}"' in example

    django, route = python_examples(CLIENT_README)
    for line in (
        "client = get_llm_client(team_id=team.id)\n",
        '    model="gpt-5-mini",  # or any supported model\n',
        "    user=request.user.distinct_id,  # Always pass for attribution\n",
    ):
        assert line in django
    assert route.startswith("client.last_route\n")


@pytest.mark.parametrize("sdk", SDKS)
def test_the_gateways_example_prints_an_answer(
    sdk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    example = python_examples(GATEWAY_README)[SDKS.index(sdk)]

    exec(compile(example.replace(ADDRESS, URL), str(GATEWAY_README), "exec"), {})  # noqa: S102

    assert capsys.readouterr().out.strip()


GET = """
import django
django.setup()
from django.test import Client
print(Client().get("/").content.decode())
"""


def in_a_view(mode: str, **site: str) -> dict[str, Any]:
    """Runs the examples of this package's README in a Django project, in a process of its own."""
    settings = {f"SITE_{name.upper()}": value for name, value in site.items()}
    shown = subprocess.run(  # noqa: S603
        [sys.executable, "-c", GET],
        env={
            **os.environ,
            **settings,
            "SITE_MODE": mode,
            "SITE_GATEWAY_URL": URL,
            "SITE_GATEWAY_KEY": KEY,
            "DJANGO_SETTINGS_MODULE": "django_site.settings",
            "PYTHONPATH": str(TESTS),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    answer: dict[str, Any] = json.loads(shown.stdout)
    return answer


@pytest.mark.parametrize("on", [True, False])
def test_the_django_example_runs_in_a_view_and_goes_where_the_flag_says(
    on: bool, start: StartServer, openai_server: Server
) -> None:
    posthog = start(flag_is(on))

    shown = in_a_view("live", openai_url=f"{openai_server.url}/v1", posthog_url=posthog.url)

    assert len(posthog.received) == 1
    assert shown["answer"]
    assert shown["route"]["status"] == 200
    if on:
        assert shown["route"]["served_by"] == "gateway"
        assert shown["route"]["model"].startswith("gpt-5-mini")
        assert openai_server.received == []
    else:
        assert shown["answer"] == ANSWER
        assert shown["route"]["reason"] == "flag_off"
        [request] = openai_server.received
        assert request.headers["authorization"] == "Bearer sk-of-this-site"
        assert request.json["model"] == "gpt-5-mini"
        assert request.json["user"] == "user_distinct_id_123"


def test_the_django_example_runs_in_debug_mode_with_no_key_set() -> None:
    shown = in_a_view("debug")

    assert shown["answer"]
    assert shown["route"]["served_by"] == "gateway"
