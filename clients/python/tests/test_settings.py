"""Where settings come from, and what is said about those that are missing."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import anthropic
import openai
import pytest

from conftest import GATEWAY_KEY, Configure
from llm_gateway_client import (
    ConfigurationError,
    UnknownProductError,
    get_anthropic_client,
    get_async_anthropic_client,
    get_async_llm_client,
    get_llm_client,
)
from servers import Server

URL = "https://gateway.example.com"
FACTORIES = (get_llm_client, get_async_llm_client, get_anthropic_client, get_async_anthropic_client)


def set_env(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def test_what_is_returned_is_the_vendors_own_client(configure: Configure) -> None:
    configure(URL)

    client, async_client = get_llm_client(), get_async_llm_client()
    claude, async_claude = get_anthropic_client(), get_async_anthropic_client()

    assert isinstance(client, openai.OpenAI)
    assert isinstance(async_client, openai.AsyncOpenAI)
    assert type(claude) is anthropic.Anthropic
    assert type(async_claude) is anthropic.AsyncAnthropic
    assert str(client.base_url) == str(async_client.base_url) == f"{URL}/django/v1/"
    assert str(claude.base_url) == str(async_claude.base_url) == f"{URL}/django/"
    assert {c.api_key for c in (client, async_client, claude, async_claude)} == {GATEWAY_KEY}


@pytest.mark.parametrize("url", [URL, f"{URL}/", f"{URL}/v1", f"{URL}/v1/"])
def test_the_address_may_be_written_with_or_without_v1(configure: Configure, url: str) -> None:
    configure(url)

    assert str(get_llm_client(product="wizard").base_url) == f"{URL}/wizard/v1/"


def test_arguments_go_before_settings(configure: Configure) -> None:
    configure("https://not-this-one.example.com")

    client = get_llm_client(
        api_key="phx_mine", base_url=URL, timeout=7, default_headers={"x-a": "b"}
    )

    assert (str(client.base_url), client.api_key) == (f"{URL}/django/v1/", "phx_mine")
    assert client.timeout == 7
    assert client.default_headers["x-a"] == "b"


@pytest.mark.parametrize("factory", FACTORIES)
def test_an_unknown_product_is_refused_with_the_known_ones(
    configure: Configure, factory: type
) -> None:
    configure(URL)

    with pytest.raises(UnknownProductError) as refused:
        factory(product="wizzard")

    message = "the gateway has no product 'wizzard'; it has llm_gateway, array, wizard, django"
    assert str(refused.value) == message


def test_products_that_the_gateway_was_given_can_be_made_known(configure: Configure) -> None:
    configure(URL, LLM_GATEWAY_PRODUCTS="max, surveys")

    assert str(get_llm_client(product="surveys").base_url) == f"{URL}/surveys/v1/"


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("missing", ["LLM_GATEWAY_URL", "LLM_GATEWAY_API_KEY"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_is_named_at_once(
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    factory: type,
    missing: str,
    value: str | None,
) -> None:
    configure(URL)
    if value is None:
        monkeypatch.delenv(missing)
    else:
        monkeypatch.setenv(missing, value)

    with pytest.raises(
        ConfigurationError, match=f"^{missing} is missing from the environment; set"
    ):
        factory()


def test_a_way_out_that_is_missing_is_named_at_once(configure: Configure) -> None:
    configure(URL, OPENAI_API_KEY="")

    with pytest.raises(
        ConfigurationError, match=r"^OPENAI_API_KEY is missing from the environment"
    ):
        get_llm_client()
    # Anthropic's clients have no way out, and so need no key for it.
    assert get_anthropic_client().api_key == GATEWAY_KEY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_GATEWAY_URL", "gateway.example.com"),
        ("LLM_GATEWAY_URL", "ftp://gateway.example.com"),
        ("OPENAI_BASE_URL", "https://"),
        ("LLM_GATEWAY_FLAG_DEFAULT", "maybe"),
        ("LLM_GATEWAY_FLAG_CACHE_SECONDS", "soon"),
        ("LLM_GATEWAY_CONNECT_TIMEOUT", "-1"),
        ("LLM_GATEWAY_CONNECT_TIMEOUT", "nan"),
        ("LLM_GATEWAY_BREAKER_SECONDS", "0"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named_at_once(
    configure: Configure, name: str, value: str
) -> None:
    configure(URL, **{name: value})

    with pytest.raises(ConfigurationError, match=f"^{name} "):
        get_llm_client()


def in_django(settings: str, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own: Django can be configured only once in each."""
    program = f"from django.conf import settings\nsettings.configure({settings})\n{code}"
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


SHOW = """
from llm_gateway_client import get_llm_client
client = get_llm_client()
print(client.base_url, client.api_key, client._router.openai)
"""


def test_in_django_the_settings_count_and_the_environment_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_env(monkeypatch, LLM_GATEWAY_URL="https://no", LLM_GATEWAY_API_KEY="no")
    settings = (
        f"LLM_GATEWAY_URL='{URL}', LLM_GATEWAY_API_KEY='phx_django',"
        " OPENAI_API_KEY='sk-django', OPENAI_BASE_URL='https://openai.example.com/v1'"
    )

    shown = in_django(settings, SHOW).stdout.strip()

    access = "OpenAIAccess(base_url='https://openai.example.com/v1', api_key='sk-django')"
    assert shown == f"{URL}/django/v1/ phx_django {access}"


def test_in_djangos_debug_mode_nothing_needs_to_be_set() -> None:
    shown = in_django("DEBUG=True", SHOW).stdout.strip()

    key = "phx_dev_local_test_api_key_1234567890abcdef"
    assert shown == f"http://localhost:8080/django/v1/ {key} None"


def test_in_django_without_debug_what_is_missing_is_named() -> None:
    failed = in_django("LLM_GATEWAY_API_KEY='phx_django'", SHOW)

    assert "LLM_GATEWAY_URL is missing from the Django settings" in failed.stderr


def test_django_is_not_imported_where_it_is_not_used(configure: Configure) -> None:
    configure(URL)
    code = "import sys, llm_gateway_client; llm_gateway_client.get_llm_client();"
    code += "print([m for m in ('django', 'posthog', 'anthropic') if m in sys.modules])"

    shown = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert shown.stdout.strip() == "[]"


def test_the_anthropic_client_reaches_its_product_with_the_teams_headers(
    configure: Configure, gateway: Server
) -> None:
    configure(gateway.url)
    client = get_anthropic_client(team_id=7, product="wizard")

    message = client.messages.create(
        model="claude-sonnet-4-5", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
    )

    assert message.content[0].type == "text"
    [request] = gateway.received
    assert request.path == "/wizard/v1/messages"
    assert request.headers["x-posthog-property-team_id"] == "7"
    assert request.headers["x-posthog-team-id"] == "7"
    # The SDK's versions differ in where they put it; the gateway reads both.
    assert GATEWAY_KEY in request.headers.get("x-api-key", "") + request.headers.get(
        "authorization", ""
    )
