"""An app with two instrumentations: ``python peer_app.py PEER ours_first|theirs_first SOURCE SITE_PACKAGES``.

Runs in the environment of a peer, whose packages win; what that lacks comes from the folders named. Makes one call of
each kind against a mock transport and prints ``{kind: spans as an OTLP request, base64}`` as its last line.
"""

from __future__ import annotations

import base64
import importlib
import json
import logging
import sys
from typing import Any

INSTRUMENTORS = {
    "official": (
        ("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),
        ("opentelemetry.instrumentation.genai.anthropic", "AnthropicInstrumentor"),
        ("opentelemetry.instrumentation.google_genai", "GoogleGenAiSdkInstrumentor"),
    ),
    "openllmetry": (
        ("opentelemetry.instrumentation.openai", "OpenAIInstrumentor"),
        ("opentelemetry.instrumentation.anthropic", "AnthropicInstrumentor"),
        ("opentelemetry.instrumentation.google_generativeai", "GoogleGenerativeAiInstrumentor"),
    ),
    "openinference": (
        ("openinference.instrumentation.openai", "OpenAIInstrumentor"),
        ("openinference.instrumentation.anthropic", "AnthropicInstrumentor"),
        ("openinference.instrumentation.google_genai", "GoogleGenAIInstrumentor"),
    ),
}
HELLO: Any = [{"role": "user", "content": "x"}]


def instrument_theirs(peer: str, provider: Any) -> None:
    for module, name in INSTRUMENTORS[peer]:
        instrumentor = getattr(importlib.import_module(module), name)()
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)


def main(peer: str, order: str, source: str, site_packages: str) -> None:
    sys.path += [source, site_packages]
    logging.basicConfig(stream=sys.stderr)
    import wire
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    if order == "theirs_first":
        instrument_theirs(peer, provider)

    import ai_usage

    done = ai_usage.instrument(sdks=["openai", "anthropic", "google_genai"])
    assert len(done) == 3
    if order == "ours_first":
        instrument_theirs(peer, provider)

    import anthropic
    import openai
    from google import genai
    from google.genai import types

    def openai_of(answer: Any) -> openai.OpenAI:
        return openai.OpenAI(api_key="k", http_client=wire.Server(answer).client, max_retries=0)

    def anthropic_of(answer: Any) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key="k", http_client=wire.Server(answer).client, max_retries=0)

    def gemini_of(answer: Any) -> genai.Client:
        return genai.Client(api_key="k", http_options=types.HttpOptions(httpx_client=wire.Server(answer).client))

    def drain(stream: Any) -> None:
        for _ in stream:
            pass

    delta = {"index": 0, "finish_reason": None, "delta": {"content": "x"}}
    chunk = wire.chat(object="chat.completion.chunk", choices=[delta], usage=None)
    chunks = wire.events([chunk, chunk, {**chunk, "choices": [], "usage": wire.CHAT_USAGE}], kind=None)
    vector = {"object": "embedding", "index": 0, "embedding": [0.1]}
    embeddings = {"object": "list", "data": [vector], "model": "text-embedding-3-small"}
    embeddings["usage"] = {"prompt_tokens": 8, "total_tokens": 8}
    asked: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}
    calls = {
        "openai_chat": lambda: openai_of(wire.body(wire.chat())).chat.completions.create(
            model="gpt-4o", messages=HELLO
        ),
        "openai_chat_stream": lambda: drain(
            openai_of(chunks).chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        ),
        "openai_responses": lambda: openai_of(wire.body(wire.response())).responses.create(model="gpt-4o", input="x"),
        "openai_embeddings": lambda: openai_of(wire.body(embeddings)).embeddings.create(
            model="text-embedding-3-small", input="x"
        ),
        "anthropic": lambda: anthropic_of(wire.body(wire.message())).messages.create(**asked),
        "anthropic_stream": lambda: drain(
            anthropic_of(wire.events(wire.message_events())).messages.create(**asked, stream=True)
        ),
        "anthropic_compaction": lambda: anthropic_of(
            wire.body(wire.message(usage=wire.COMPACTED_USAGE))
        ).beta.messages.create(**asked),
        "anthropic_compaction_stream": lambda: drain(
            anthropic_of(wire.events(wire.message_events(wire.COMPACTED_USAGE))).beta.messages.create(
                **asked, stream=True
            )
        ),
        "gemini": lambda: gemini_of(wire.body(wire.content())).models.generate_content(
            model="gemini-2.5-flash", contents="x"
        ),
        "gemini_stream": lambda: drain(
            gemini_of(wire.events([wire.content()], kind=None)).models.generate_content_stream(
                model="gemini-2.5-flash", contents="x"
            )
        ),
    }
    tracer = provider.get_tracer("app")
    spans = {}
    for kind, call in calls.items():
        exporter.clear()
        with tracer.start_as_current_span("request"):
            call()
        spans[kind] = base64.b64encode(encode_spans(exporter.get_finished_spans()).SerializeToString()).decode()
    print(json.dumps(spans))


if __name__ == "__main__":
    main(*sys.argv[1:])
