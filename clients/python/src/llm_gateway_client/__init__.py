"""The OpenAI and Anthropic SDKs, bound to the LLM gateway.

from llm_gateway_client import get_llm_client

client = get_llm_client(team_id=team.id)
"""

from .clients import (
    AsyncGatewayOpenAI,
    GatewayOpenAI,
    get_anthropic_client,
    get_async_anthropic_client,
    get_async_llm_client,
    get_llm_client,
)
from .models import openai_model_for
from .route import MODEL_HEADER, ROUTE_HEADER, Route
from .settings import KNOWN_PRODUCTS, ConfigurationError, UnknownProductError

__all__ = [
    "KNOWN_PRODUCTS",
    "MODEL_HEADER",
    "ROUTE_HEADER",
    "AsyncGatewayOpenAI",
    "ConfigurationError",
    "GatewayOpenAI",
    "Route",
    "UnknownProductError",
    "get_anthropic_client",
    "get_async_anthropic_client",
    "get_async_llm_client",
    "get_llm_client",
    "openai_model_for",
]
