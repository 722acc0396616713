"""Tell the stand-in where each case of a program starts and ends; standard library and the OTel SDK only."""

from __future__ import annotations

import os
import sys
import traceback
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STAND_IN = os.environ["STAND_IN_URL"]
OPENAI = STAND_IN + "/openai/v1"
ANTHROPIC = STAND_IN + "/anthropic"
GEMINI = STAND_IN + "/gemini"
CHAT = "gpt-4o-mini"
REASONING = "o4-mini"
EMBEDDING = "text-embedding-3-small"
CLAUDE = "claude-sonnet-4-5"
GEMINI_MODEL = "gemini-2.5-flash"
ASK = [{"role": "user", "content": "Say something short."}]


def provider():
    """Return a tracer provider that exports to the stand-in, set as the global one."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(STAND_IN + "/v1/traces")))
    trace.set_tracer_provider(made)
    return made


@contextmanager
def case(name: str, flush: Callable[[], object], *, fails: bool = False) -> Iterator[None]:
    """Run the body as one case; ``fails`` says that the provider refuses it."""
    _post("/case/" + name)
    try:
        yield
    except Exception:
        if not fails:
            traceback.print_exc()
            print(f"case {name} failed", file=sys.stderr)
            sys.exit(1)
    finally:
        flush()
        _post("/case")


def _post(path: str) -> None:
    urllib.request.urlopen(urllib.request.Request(STAND_IN + path, data=b"", method="POST"), timeout=10).close()
