"""The clients that callers get: the vendors' own, bound to a product of the gateway."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import openai

from .breaker import breaker_for
from .flag import flag_for
from .pool import member, shared_pool
from .route import Route
from .router import Router
from .routing import routed, routed_async
from .settings import (
    Gateway,
    Source,
    gateway_from,
    known_product,
    openai_from,
    tuning_from,
)

if TYPE_CHECKING:
    import anthropic

logger = logging.getLogger("llm_gateway_client")

TeamId = int | str
AnthropicClient = TypeVar("AnthropicClient", "anthropic.Anthropic", "anthropic.AsyncAnthropic")


class GatewayOpenAI(openai.OpenAI):
    """An `openai.OpenAI` whose calls go to the gateway, or to OpenAI while that is off or gone."""

    _router: Router

    def __init__(self, *, router: Router, **options: Any) -> None:
        super().__init__(**options)
        if options.get("admin_api_key") is None:
            # Newer SDKs take it from the environment; it is OpenAI's, and none for the gateway.
            self.admin_api_key = None
        self._router = router
        self._client = routed(self._client, router)

    @property
    def last_route(self) -> Route | None:
        """The way of the last call that this thread or task made, by this client or a copy."""
        return self._router.last_route.get()

    if not TYPE_CHECKING:  # the SDK's own signature is the one to see

        def copy(self, *, _extra_kwargs: Mapping[str, Any] = {}, **options: Any) -> GatewayOpenAI:
            return super().copy(_extra_kwargs={"router": self._router, **_extra_kwargs}, **options)

        with_options = copy


class AsyncGatewayOpenAI(openai.AsyncOpenAI):
    """An `openai.AsyncOpenAI` whose calls go to the gateway, or to OpenAI instead."""

    _router: Router

    def __init__(self, *, router: Router, **options: Any) -> None:
        super().__init__(**options)
        if options.get("admin_api_key") is None:
            # Newer SDKs take it from the environment; it is OpenAI's, and none for the gateway.
            self.admin_api_key = None
        self._router = router
        self._client = routed_async(self._client, router)

    @property
    def last_route(self) -> Route | None:
        """The way of the last call that this task made, by this client or a copy."""
        return self._router.last_route.get()

    if not TYPE_CHECKING:  # the SDK's own signature is the one to see

        def copy(
            self, *, _extra_kwargs: Mapping[str, Any] = {}, **options: Any
        ) -> AsyncGatewayOpenAI:
            return super().copy(_extra_kwargs={"router": self._router, **_extra_kwargs}, **options)

        with_options = copy


def get_llm_client(
    team_id: TeamId | None = None,
    product: str = "django",
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float | openai.Timeout | None = None,
    default_headers: Mapping[str, str] | None = None,
) -> GatewayOpenAI:
    """An OpenAI client for the gateway.

    `team_id` is the team whose calls these are; `api_key` and `base_url` (the gateway's address,
    without a product) take the place of `LLM_GATEWAY_API_KEY` and `LLM_GATEWAY_URL`; `timeout`
    is in seconds, the SDK's own when None.

    Raises `ConfigurationError` if a setting is missing, `UnknownProductError` for a product that
    the gateway does not have.
    """
    bound = _bind(team_id, product, api_key, base_url, timeout, default_headers)
    router = _router(bound)
    return GatewayOpenAI(
        router=router,
        base_url=bound.openai_url,
        http_client=shared_pool(openai.DefaultHttpxClient),
        **bound.options,
    )


def get_async_llm_client(
    team_id: TeamId | None = None,
    product: str = "django",
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float | openai.Timeout | None = None,
    default_headers: Mapping[str, str] | None = None,
) -> AsyncGatewayOpenAI:
    """An asynchronous OpenAI client for the gateway; see `get_llm_client`."""
    bound = _bind(team_id, product, api_key, base_url, timeout, default_headers)
    router = _router(bound)
    return AsyncGatewayOpenAI(router=router, base_url=bound.openai_url, **bound.options)


def get_anthropic_client(
    team_id: TeamId | None = None,
    product: str = "django",
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float | openai.Timeout | None = None,
    default_headers: Mapping[str, str] | None = None,
) -> anthropic.Anthropic:
    """An Anthropic client for the gateway. It has no way around it: OpenAI speaks no Messages."""
    import anthropic

    bound = _bind(team_id, product, api_key, base_url, timeout, default_headers)
    pool = member(anthropic.DefaultHttpxClient)
    client = anthropic.Anthropic(base_url=bound.product_url, http_client=pool, **bound.options)
    return _with_one_key(client)


def get_async_anthropic_client(
    team_id: TeamId | None = None,
    product: str = "django",
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float | openai.Timeout | None = None,
    default_headers: Mapping[str, str] | None = None,
) -> anthropic.AsyncAnthropic:
    """An asynchronous Anthropic client for the gateway; see `get_anthropic_client`."""
    import anthropic

    bound = _bind(team_id, product, api_key, base_url, timeout, default_headers)
    return _with_one_key(anthropic.AsyncAnthropic(base_url=bound.product_url, **bound.options))


def _with_one_key(client: AnthropicClient) -> AnthropicClient:
    """The client, without a token of Anthropic's: older SDKs take one from the environment."""
    if client.auth_token is None:
        return client
    from anthropic._types import Omit  # not exported by the versions that this is for

    headers: Any = {"Authorization": Omit()}
    return client.copy(default_headers=headers)


class _Bound(NamedTuple):
    source: Source
    gateway: Gateway
    team: str | None
    product_url: str
    options: dict[str, Any]
    """What both vendors' clients take."""

    @property
    def openai_url(self) -> str:
        return f"{self.product_url}/v1"


def _bind(
    team_id: TeamId | None,
    product: str,
    api_key: str | None,
    base_url: str | None,
    timeout: float | openai.Timeout | None,
    default_headers: Mapping[str, str] | None,
) -> _Bound:
    source = Source()
    known_product(source, product)
    gateway = gateway_from(source, api_key=api_key, base_url=base_url)
    team = None if team_id is None else str(team_id)
    headers: dict[str, str] = {}
    if team is not None:
        # Two names for one thing: some proxies drop headers with underscores.
        headers = {"x-posthog-property-team_id": team, "x-posthog-team-id": team}
    options: dict[str, Any] = {
        "api_key": gateway.api_key,
        "default_headers": {**headers, **(default_headers or {})},
    }
    if timeout is not None:
        options["timeout"] = timeout
    return _Bound(source, gateway, team, f"{gateway.url}/{product}", options)


def _router(bound: _Bound) -> Router:
    access = openai_from(bound.source, bound.gateway)
    tuning = tuning_from(bound.source)
    flag = flag_for(
        bound.team, default=tuning.flag_default, cache_seconds=tuning.flag_cache_seconds
    )
    if access is None:
        logger.info(
            "OPENAI_API_KEY is not set: the gateway is the only way, whatever its flag says"
        )
    else:
        # Begun here, the first answer is often there by the time of the first call.
        flag.enabled()
    return Router(
        gateway_base_url=bound.openai_url,
        openai=access,
        flag=flag,
        breaker=breaker_for(bound.gateway.url, tuning.breaker_seconds),
        connect_timeout=tuning.connect_timeout,
    )
