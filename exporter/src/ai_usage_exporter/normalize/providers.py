"""Canonical provider names, whatever an emitter calls them."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

# Spellings seen on the wire (lower case) → gen_ai.provider.name of the conventions.
_ALIASES: Final = {
    "azure": "azure.ai.openai",
    "az.ai.openai": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "azure_ai": "azure.ai.inference",
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google_ai_studio": "gcp.gemini",
    "gcp.gen_ai": "gcp.gemini",
    "vertexai": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "google_generativeai": "gcp.gemini",
    "google_adk": "gcp.gemini",
    "generative-ai": "gcp.gemini",
    "gcp_vertex": "gcp.vertex_ai",
    "mistral-ai": "mistral_ai",
    "anthropic_messages": "anthropic",
    "openai_chat": "openai",
    "openai.azure": "azure.ai.openai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
}
# "openai.chat", "anthropic.messages", "google.vertex.chat": vendor first, API behind it.
_PREFIXES: Final = (
    ("openai.", "openai"),
    ("anthropic.", "anthropic"),
    ("azure-openai", "azure.ai.openai"),
    ("google.vertex", "gcp.vertex_ai"),
    ("google.generative-ai", "gcp.gemini"),
    ("mistral.", "mistral_ai"),
    ("xai.", "x_ai"),
)
# Who really answers at these hosts, when the emitter only knows the SDK it wraps.
_HOST_SUFFIXES: Final = (
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".amazonaws.com", "aws.bedrock"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("openrouter.ai", "openrouter"),
    ("api.together.xyz", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.cerebras.ai", "cerebras"),
)
# Frameworks and gateways that some emitters write where the vendor belongs.
_NOT_A_VENDOR: Final = frozenset(
    {
        "",
        "unknown",
        "_other",
        "strands-agents",
        "gcp.vertex.agent",
        "langchain",
        "litellm",
        "litellm_proxy",
        "pydantic-ai",
        "gateway",
        "openrouter",
        "helicone",
        "portkey",
        "langfuse",
        "semantic_kernel",
        "bifrost",
        "custom_openai",
    }
)
_MODEL_PREFIXES: Final = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("claude", "anthropic"),
    ("gemini", "gcp.gemini"),
    ("mistral", "mistral_ai"),
    ("deepseek", "deepseek"),
    ("grok", "x_ai"),
    ("command-", "cohere"),
)
_CLOSED_MODELS: Final = tuple(
    prefix for prefix, provider in _MODEL_PREFIXES if provider in {"openai", "anthropic", "gcp.gemini"}
)
_OPEN_MODELS: Final = ("gpt-oss", "gpt-j", "gpt-neo")
_PRIVATE_SUFFIXES: Final = (".local", ".internal", ".lan", ".svc", ".localdomain", ".home.arpa")
_PORT: Final = re.compile(r":\d+$")
UNKNOWN: Final = "unknown"
SELF_HOSTED: Final = "vllm"
"""A model run by oneself behind OpenAI's API, whatever serves it: no vendor's price holds."""


@lru_cache(maxsize=4096)
def canonical_provider(name: str | None, server_address: str | None = None, model: str | None = None) -> str:
    """Return the canonical name of the provider that answered.

    The server's address wins over the name, because many emitters write the SDK's vendor for every server; names
    that are no vendor are replaced by what the model says. Unknown names are kept in lower case; ``unknown`` when
    nothing tells.
    """
    named = _canonical_name(name)
    if server_address and named in {"openai", "anthropic", UNKNOWN, "gcp.gemini"}:
        host = _host_of(server_address)
        for suffix, provider in _HOST_SUFFIXES:
            if host.endswith(suffix):
                return provider
        if named == "openai" and model is not None and _is_private(host):
            if _is_closed(model):
                return _of_model(model)  # a gateway in front of the vendor
            return "ollama" if "ollama" in host else SELF_HOSTED
    return _of_model(model) if named == UNKNOWN else named


def _host_of(server: str) -> str:
    """Return the host of an address, or of the base URL that some write there."""
    authority = server.lower().rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    return authority[1:].partition("]")[0] if authority[:1] == "[" else _PORT.sub("", authority)


def _is_private(host: str) -> bool:
    """Tell whether a host is of one's own network: no vendor answers there, though a gateway to one may."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_SUFFIXES)


def _is_closed(model: str) -> bool:
    """Tell whether a model runs nowhere but at its vendor's."""
    bare = model.lower().rpartition("/")[2]
    return bare.startswith(_CLOSED_MODELS) and not bare.startswith(_OPEN_MODELS)


def _canonical_name(name: str | None) -> str:
    spelled = (name or "").strip().lower()
    if spelled in _NOT_A_VENDOR:
        return UNKNOWN
    if spelled in _ALIASES:
        return _ALIASES[spelled]
    for prefix, provider in _PREFIXES:
        if spelled.startswith(prefix):
            return provider
    return spelled


def _of_model(model: str | None) -> str:
    vendor, slash, name = (model or "").lower().partition("/")
    if slash and (named := _canonical_name(vendor)) != UNKNOWN:
        return named
    for prefix, provider in _MODEL_PREFIXES:
        if (name if slash else vendor).startswith(prefix):
            return provider
    return UNKNOWN
