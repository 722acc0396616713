"""The demo's app: three features of a product calling three providers, plain SDK code.

Run under ``opentelemetry-instrument``; nothing in the calls knows about telemetry. ``usage_context`` around them says
who pays, which an app may leave out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import anthropic
import openai
from google import genai
from google.genai import errors

from ai_usage import usage_context

USERS = (
    ("9b2f4c1e-7a54-4c0e-9d0b-1f6a3c2e5d01", "ana@example.com"),
    ("4d7e8a90-2b13-4f6c-8e57-6c9b0a1d2e02", "ben@example.com"),
    ("customer-4711", None),
)


def xray_analyzer(client: openai.OpenAI, question: str) -> None:
    """Look at an image finding: a plain call, a streamed one and an embedding."""
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": question}])
    with client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": question}], stream=True
    ) as stream:
        for _ in stream:
            pass
    client.embeddings.create(model="text-embedding-3-small", input=question)


async def cv_optimizer(client: anthropic.AsyncAnthropic, request: str) -> None:
    """Rewrite a CV: a plain and a streamed call, asynchronously."""
    await client.messages.create(
        model="claude-3-5-sonnet-20241022", max_tokens=512, messages=[{"role": "user", "content": request}]
    )
    async with client.messages.stream(
        model="claude-3-haiku-20240307", max_tokens=512, messages=[{"role": "user", "content": request}]
    ) as stream:
        async for _ in stream.text_stream:
            pass


def questions_predictor(client: genai.Client, topic: str) -> None:
    """Guess exam questions: a plain and a streamed call."""
    client.models.generate_content(model="gemini-2.0-flash", contents=topic)
    for _ in client.models.generate_content_stream(model="gemini-2.0-flash", contents=topic):
        pass


async def main() -> None:
    """Make every call once for each user, and one that fails; leave out providers there is no key for."""
    refused = contextlib.suppress(openai.APIError, anthropic.APIError, errors.APIError)
    openai_client = openai.OpenAI(max_retries=0) if "OPENAI_API_KEY" in os.environ else None
    anthropic_client = anthropic.AsyncAnthropic(max_retries=0) if "ANTHROPIC_API_KEY" in os.environ else None
    gemini_client = genai.Client() if {"GEMINI_API_KEY", "GOOGLE_API_KEY"} & os.environ.keys() else None
    for user_id, email in USERS:
        with usage_context(user_id=user_id, user_email=email):
            with usage_context(service_name="xray_analyzer", service_action="analyze"), refused:
                if openai_client is not None:
                    xray_analyzer(openai_client, "What does this X-ray show?")
            with (
                usage_context(service_name="cv_optimizer", service_action="optimize", metadata={"plan": "pro"}),
                refused,
            ):
                if anthropic_client is not None:
                    await cv_optimizer(anthropic_client, "Make this CV shorter.")
            with usage_context(service_name="questions_predictor", service_action="generate"), refused:
                if gemini_client is not None:
                    questions_predictor(gemini_client, "Photosynthesis")
    with usage_context(user_id=USERS[0][0], service_name="xray_analyzer", service_action="analyze"), refused:
        if openai_client is not None:
            # The stand-in provider answers this one with HTTP 429.
            xray_analyzer(openai_client, "[fail] What does this X-ray show?")
    if anthropic_client is not None:
        await anthropic_client.close()


if __name__ == "__main__":
    asyncio.run(main())
