"""Numbers and text as emitters really send them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ai_usage_exporter.errors import UnstorableError
from ai_usage_exporter.normalize.failures import error_class
from ai_usage_exporter.normalize.providers import canonical_provider
from ai_usage_exporter.normalize.values import dollars, json_object, reply_id, text, whole


@pytest.mark.parametrize(
    ("sent", "count"),
    [(7, 7), (7.0, 7), ("7", 7), (" 7 ", 7), ("7.0", 7), (0, 0), ("0", 0), (-3, -3)],
    ids=repr,
)
def test_a_count_is_read_from_any_type(sent: Any, count: int) -> None:
    assert whole(sent, "tokens") == count


@pytest.mark.parametrize("sent", [None, "", "null", "undefined", True, [1], {"a": 1}], ids=repr)
def test_what_was_not_reported_is_not_zero(sent: Any) -> None:
    assert whole(sent, "tokens") is None


@pytest.mark.parametrize("sent", [1.5, float("nan"), float("inf"), "NaN", "many", "1.5"], ids=repr)
def test_what_is_no_count_is_named_and_refused(sent: Any) -> None:
    with pytest.raises(UnstorableError, match="tokens = ") as refused:
        whole(sent, "tokens")
    assert refused.value.reason == "tokens_out_of_range"


def test_dollars_are_exact_as_their_shortest_text() -> None:
    assert dollars(0.1, "cost") == Decimal("0.1")
    assert dollars(1e-7, "cost") == Decimal("0.0000001")
    assert dollars("0.00027", "cost") == Decimal("0.00027")
    assert dollars("no amount", "cost") is None
    assert dollars(True, "cost") is None


@pytest.mark.parametrize("sent", [float("nan"), float("inf"), -0.5, "NaN", "-Infinity"], ids=repr)
def test_an_amount_nobody_can_pay_is_refused(sent: Any) -> None:
    with pytest.raises(UnstorableError) as refused:
        dollars(sent, "cost")
    assert refused.value.reason == "cost_out_of_range"


def test_text_is_never_empty_and_never_a_structure() -> None:
    assert (text("a"), text(7), text(True)) == ("a", "7", "True")
    assert (text(""), text(None), text([1])) == (None, None, None)


def test_objects_come_as_text_or_as_they_are() -> None:
    assert json_object('{"a": 1}') == {"a": 1}
    assert json_object({"a": 1}) == {"a": 1}
    assert json_object("[1]") == {}
    assert json_object('{"a": ') == {}
    assert json_object("{" * 100_000) == {}


def test_the_id_of_a_recorded_reply_is_read_from_its_beginning_only() -> None:
    assert reply_id('{"id":"chatcmpl-1","choices":[]}') == "chatcmpl-1"
    assert reply_id('{"id": "resp_1"}') == "resp_1"
    assert reply_id('{"id":"7"}') is None
    assert reply_id('{"text":"{\\"id\\":\\"msg_1\\"}"}') is None
    assert reply_id(None) is None


@pytest.mark.parametrize(
    ("named", "provider"),
    [
        ("openai.chat", "openai"), ("OpenAI", "openai"), ("az.ai.openai", "azure.ai.openai"),
        ("azure-openai.responses", "azure.ai.openai"), ("vertex_ai", "gcp.vertex_ai"),
        ("google.generative-ai", "gcp.gemini"), ("google.vertex.chat", "gcp.vertex_ai"), ("MistralAI", "mistral_ai"),
        ("amazon-bedrock", "aws.bedrock"), ("AWS", "aws.bedrock"), ("xai.chat", "x_ai"),
        ("anthropic.messages", "anthropic"), ("cohere", "cohere"),
    ],
)  # fmt: skip
def test_a_provider_has_one_name(named: str, provider: str) -> None:
    assert canonical_provider(named) == provider


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("eu.openai.azure.com", "azure.ai.openai"),
        ("api.groq.com", "groq"),
        ("api.openai.com", "openai"),
        ("127.0.0.1", "openai"),
    ],
)
def test_the_server_tells_who_answers_behind_the_sdk_of_openai(host: str, provider: str) -> None:
    assert canonical_provider("openai", host, "gpt-4o-mini") == provider


@pytest.mark.parametrize(
    ("address", "model", "provider"),
    [
        ("10.0.0.5", "meta-llama/Llama-3.3-70B-Instruct", "vllm"),
        ("127.0.0.1:8000", "Qwen/Qwen3-32B", "vllm"),
        ("::1", "openai/gpt-oss-120b", "vllm"),
        ("http://[fd00::7]:8000/v1", "house-model", "vllm"),
        ("vllm.models.svc", "mistralai/Mistral-7B-Instruct-v0.3", "vllm"),
        ("ollama", "llama3.2", "ollama"),
        ("10.0.0.5", "gpt-4o-mini", "openai"),  # a gateway
        ("litellm.internal", "anthropic/claude-sonnet-4-5", "anthropic"),
        ("10.0.0.5", None, "openai"),
        ("llm.example.com", "house-model", "openai"),
        ("https://eu.openai.azure.com/openai/", "gpt-4o-mini", "azure.ai.openai"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "openai.gpt-oss-120b-1:0", "aws.bedrock"),
        ("us-central1-aiplatform.googleapis.com", "gemini-2.5-flash", "gcp.vertex_ai"),
    ],
)
def test_a_server_of_ones_own_is_no_vendor(address: str, model: str | None, provider: str) -> None:
    assert canonical_provider("openai", address, model) == provider


@pytest.mark.parametrize("framework", ["strands-agents", "gcp.vertex.agent", "Langchain", "litellm", "pydantic-ai"])
def test_a_framework_is_no_vendor_and_the_model_tells_it(framework: str) -> None:
    assert canonical_provider(framework, None, "claude-sonnet-4-5") == "anthropic"
    assert canonical_provider(framework, None, "gemini-2.5-flash") == "gcp.gemini"
    assert canonical_provider(framework, None, "house-model") == "unknown"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("openai.RateLimitError", "RateLimitError"),
        ("rate_limit_error", "RateLimitError"),
        ("google.adk.models.google_llm._ResourceExhaustedError", "RateLimitError"),
        ("<class 'semantic_kernel.exceptions.ServiceResponseException'>", "ServiceResponseException"),
        ("BadRequestError", "BadRequestError"),
        ("429", "429"),
        ("a sentence. With a Dot", "a sentence. With a Dot"),
    ],
)
def test_one_failure_has_one_class(written: str, read: str) -> None:
    assert error_class(written) == read
