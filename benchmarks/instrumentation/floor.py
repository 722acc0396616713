"""The floor: what a careful app would write by hand around its own calls, the same 16 attributes through the SDK.

Prices are constants, there is no attribution, no privacy, no stream that ends early: nothing that could be left out.
"""

from __future__ import annotations

import functools

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

INPUT_USD, CACHED_USD, OUTPUT_USD = 2.5e-6, 1.25e-6, 10e-6


def instrument() -> None:
    """Wrap the methods that are measured: three of openai, one of google-genai."""
    from google.genai.models import Models
    from openai.resources.chat.completions import AsyncCompletions, Completions
    from openai.resources.embeddings import Embeddings

    tracer = trace.get_tracer("floor", "1")

    def start(operation: str, kwargs: dict):
        return tracer.start_span(f"{operation} {kwargs['model']}", kind=SpanKind.CLIENT)

    def finish(span, operation: str, kwargs: dict, reply) -> None:
        usage = reply.usage
        prompt, output = usage.prompt_tokens, usage.completion_tokens
        details, completion = usage.prompt_tokens_details, usage.completion_tokens_details
        cached = details.cached_tokens if details else 0
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": kwargs["model"],
            "gen_ai.response.model": reply.model,
            "gen_ai.response.id": reply.id,
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": prompt,
            "gen_ai.usage.output_tokens": output,
            "gen_ai.usage.cache_read.input_tokens": cached,
            "gen_ai.usage.reasoning.output_tokens": completion.reasoning_tokens if completion else 0,
            "openai.response.service_tier": reply.service_tier or "default",
            "server.address": "api.openai.com",
            "server.port": 443,
            "gen_ai.usage.cost.amount": (prompt - cached) * INPUT_USD + cached * CACHED_USD + output * OUTPUT_USD,
            "gen_ai.usage.cost.currency": "USD",
            "gen_ai.usage.cost.source": "local",
        }
        span.set_attributes(attributes)
        span.end()

    def finish_embeddings(span, operation: str, kwargs: dict, reply) -> None:
        prompt = reply.usage.prompt_tokens
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": kwargs["model"],
            "gen_ai.response.model": reply.model,
            "gen_ai.response.id": "",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": prompt,
            "gen_ai.usage.output_tokens": 0,
            "gen_ai.usage.cache_read.input_tokens": 0,
            "gen_ai.usage.reasoning.output_tokens": 0,
            "openai.response.service_tier": "default",
            "server.address": "api.openai.com",
            "server.port": 443,
            "gen_ai.usage.cost.amount": prompt * INPUT_USD,
            "gen_ai.usage.cost.currency": "USD",
            "gen_ai.usage.cost.source": "local",
        }
        span.set_attributes(attributes)
        span.end()

    def finish_gemini(span, operation: str, kwargs: dict, reply) -> None:
        usage = reply.usage_metadata
        prompt, thoughts = usage.prompt_token_count, usage.thoughts_token_count or 0
        output, cached = usage.candidates_token_count + thoughts, usage.cached_content_token_count or 0
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.request.model": kwargs["model"],
            "gen_ai.response.model": reply.model_version,
            "gen_ai.response.id": reply.response_id,
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": prompt,
            "gen_ai.usage.output_tokens": output,
            "gen_ai.usage.cache_read.input_tokens": cached,
            "gen_ai.usage.reasoning.output_tokens": thoughts,
            "ai_usage.service_tier": "default",
            "server.address": "generativelanguage.googleapis.com",
            "server.port": 443,
            "gen_ai.usage.cost.amount": (prompt - cached) * INPUT_USD + cached * CACHED_USD + output * OUTPUT_USD,
            "gen_ai.usage.cost.currency": "USD",
            "gen_ai.usage.cost.source": "local",
        }
        span.set_attributes(attributes)
        span.end()

    def fail(span, error: BaseException) -> None:
        span.set_status(Status(StatusCode.ERROR))
        span.set_attribute("error.type", type(error).__qualname__)
        span.end()

    def wrap(operation: str, original, finish=finish):
        @functools.wraps(original)
        def call(self, **kwargs):
            span = start(operation, kwargs)
            try:
                with trace.use_span(span):
                    reply = original(self, **kwargs)
            except BaseException as error:
                fail(span, error)
                raise
            if kwargs.get("stream"):
                return iterate(span, operation, kwargs, reply)
            finish(span, operation, kwargs, reply)
            return reply

        return call

    def iterate(span, operation: str, kwargs: dict, stream):
        try:
            for chunk in stream:
                if chunk.usage is not None:
                    finish(span, operation, kwargs, chunk)
                yield chunk
        except Exception as error:
            fail(span, error)
            raise

    def wrap_async(operation: str, original):
        @functools.wraps(original)
        async def call(self, **kwargs):
            span = start(operation, kwargs)
            try:
                with trace.use_span(span):
                    reply = await original(self, **kwargs)
            except BaseException as error:
                fail(span, error)
                raise
            finish(span, operation, kwargs, reply)
            return reply

        return call

    Completions.create = wrap("chat", Completions.create)
    AsyncCompletions.create = wrap_async("chat", AsyncCompletions.create)
    Embeddings.create = wrap("embeddings", Embeddings.create, finish_embeddings)
    Models.generate_content = wrap("generate_content", Models.generate_content, finish_gemini)
