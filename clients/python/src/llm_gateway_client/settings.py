"""Where the gateway and OpenAI are, and which keys they take: read from Django or the environment.

A configuration that is only half there is refused here, by name, before any call is made.
"""

from __future__ import annotations

import math
import os
import sys
from typing import Any, NamedTuple
from urllib.parse import urlsplit

KNOWN_PRODUCTS = ("llm_gateway", "array", "wizard", "django")
DEVELOPMENT_URL = "http://localhost:8080"
DEVELOPMENT_KEY = "phx_dev_local_test_api_key_1234567890abcdef"
OPENAI_URL = "https://api.openai.com/v1"

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class ConfigurationError(ValueError):
    """A setting is missing or cannot be meant; the message names it."""


class UnknownProductError(ValueError):
    """The gateway has no such product; the message lists those it has."""


class Gateway(NamedTuple):
    """Where the gateway is, without `/v1` or a product, and the key it knows us by."""

    url: str
    api_key: str


class OpenAIAccess(NamedTuple):
    """OpenAI itself: where calls go that the gateway does not get."""

    base_url: str
    api_key: str


class Tuning(NamedTuple):
    """What most installations leave as it is."""

    flag_default: bool
    """The answer when `use-llm-gateway` cannot be evaluated. Default: true, the gateway."""
    flag_cache_seconds: float
    """How long an answer of the flag is used before another is fetched. Default: 30."""
    connect_timeout: float
    """Seconds after which a gateway that does not accept the connection is gone. Default: 2."""
    breaker_seconds: float
    """How long calls avoid a gateway that was found unavailable. Default: 10."""


class Source:
    """One place that settings come from: Django when it is configured, else the environment."""

    def __init__(self) -> None:
        # Django is imported by whoever configures it; one that is not loaded is not configured.
        conf: Any = sys.modules.get("django.conf")
        self._django: Any = conf.settings if conf is not None and conf.settings.configured else None

    @property
    def where(self) -> str:
        return "the Django settings" if self._django is not None else "the environment"

    @property
    def development(self) -> bool:
        return self._django is not None and bool(getattr(self._django, "DEBUG", False))

    def get(self, name: str) -> Any:
        """The setting, or None; an empty string counts as not set."""
        if self._django is not None:
            value = getattr(self._django, name, None)
        else:
            value = os.environ.get(name)
        return None if value == "" else value

    def number(self, name: str, default: float) -> float:
        value = self.get(name)
        if value is None:
            return default
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 < number < math.inf:
            raise ConfigurationError(
                f"{name} in {self.where} is {value!r}; set it to a number of seconds above 0"
            )
        return number

    def switch(self, name: str, default: bool) -> bool:
        value = self.get(name)
        if value is None:
            return default
        word = str(value).strip().lower()
        if word not in _YES + _NO:
            raise ConfigurationError(
                f"{name} in {self.where} is {value!r}; set it to true or false"
            )
        return word in _YES


def gateway_from(source: Source, *, api_key: str | None, base_url: str | None) -> Gateway:
    """The gateway to talk to: arguments go before settings, settings before DEBUG's defaults."""
    url = base_url or source.get("LLM_GATEWAY_URL")
    key = api_key or source.get("LLM_GATEWAY_API_KEY")
    if source.development:
        url, key = url or DEVELOPMENT_URL, key or DEVELOPMENT_KEY
    if not url:
        raise _missing(
            "LLM_GATEWAY_URL",
            source,
            "the address of the gateway, such as https://llm-gateway.example.com",
        )
    if not key:
        raise _missing(
            "LLM_GATEWAY_API_KEY",
            source,
            "a personal API key (phx_...) with the scope llm_gateway:read",
        )
    return Gateway(_without_version(_http_url("LLM_GATEWAY_URL", str(url))), str(key))


def openai_from(source: Source, gateway: Gateway) -> OpenAIAccess | None:
    """OpenAI itself. In development it may be missing: then there is only the gateway."""
    key = source.get("OPENAI_API_KEY")
    if key:
        url = source.get("OPENAI_BASE_URL") or OPENAI_URL
        return OpenAIAccess(_http_url("OPENAI_BASE_URL", str(url)), str(key))
    if source.development or gateway.api_key == DEVELOPMENT_KEY:
        return None
    raise _missing(
        "OPENAI_API_KEY",
        source,
        "the key for calls that go to OpenAI while the gateway is off or gone",
    )


def tuning_from(source: Source) -> Tuning:
    return Tuning(
        flag_default=source.switch("LLM_GATEWAY_FLAG_DEFAULT", True),
        flag_cache_seconds=source.number("LLM_GATEWAY_FLAG_CACHE_SECONDS", 30.0),
        connect_timeout=source.number("LLM_GATEWAY_CONNECT_TIMEOUT", 2.0),
        breaker_seconds=source.number("LLM_GATEWAY_BREAKER_SECONDS", 10.0),
    )


def known_product(source: Source, product: str) -> str:
    """The product, if the gateway knows it: the built-in ones and those in LLM_GATEWAY_PRODUCTS."""
    more = source.get("LLM_GATEWAY_PRODUCTS") or ()
    names = (
        [name.strip() for name in more.split(",")]
        if isinstance(more, str)
        else [str(name) for name in more]
    )
    known = (*KNOWN_PRODUCTS, *(name for name in names if name))
    if product not in known:
        raise UnknownProductError(
            f"the gateway has no product {product!r}; it has {', '.join(known)}"
        )
    return product


def _missing(name: str, source: Source, what: str) -> ConfigurationError:
    return ConfigurationError(f"{name} is missing from {source.where}; set it to {what}")


def _http_url(name: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{name} is {url!r}; set it to an address that begins with http:// or https://"
        )
    return url.rstrip("/")


def _without_version(url: str) -> str:
    # The SDKs' own examples write the base URL with `/v1`; the product goes before that.
    return url[: -len("/v1")] if url.endswith("/v1") else url
