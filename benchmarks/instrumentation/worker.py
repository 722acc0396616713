"""Measure one variant in its own process: ``python worker.py VARIANT times|instructions|functions|import``.

Stands alone, and is long for it: it imports nothing of this repository but the variant, because it also runs inside the
peers' environments. The provider is an ``httpx2.MockTransport``; spans go to a batch processor whose exporter throws
them away.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import time

MODEL = "gpt-4o"
GEMINI = "gemini-2.5-flash"
HELLO = [{"role": "user", "content": "hello"}]
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 0},
}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
    "usage": USAGE,
    "service_tier": "default",
}
EMBEDDINGS = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}],
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
CONTENT = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 30,
        "thoughtsTokenCount": 20,
        "totalTokenCount": 150,
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r1",
}
VARIANTS = ("none", "floor", "ours", "official", "openllmetry", "openinference")
KINDS = ("sync", "async", "stream", "embeddings", "google", "unsampled", "long_stream")
CHUNKS, MANY_CHUNKS = 50, 250
WRAPPED = ("request", "create", "generate_content", "_generate_content")
"""Methods that some variant wraps."""


def stream_body(chunks: int) -> bytes:
    """Return a chat stream of so many chunks, with usage at the end."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    events = [
        {**head, "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}], "usage": None}
        for _ in range(chunks - 2)
    ]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None})
    events.append({**head, "choices": [], "usage": USAGE})
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


exported = []
"""How many spans every export held."""


def set_up_tracing() -> object:
    """Return a tracer provider, also set as the global one."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class OTLPSpanExporter(SpanExporter):  # named as the real one: usage of unsampled traces leaves by it
        def export(self, spans: list[object]) -> SpanExportResult:
            exported.append(len(spans))
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    # Large and late: no export happens while a call is measured.
    exporter = OTLPSpanExporter()
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=200_000, max_export_batch_size=100_000, schedule_delay_millis=1e7)
    )
    trace.set_tracer_provider(provider)
    return provider


def instrument(variant: str, provider: object, *, with_anthropic: bool) -> None:
    """Switch a variant on for openai and google-genai, and for anthropic when asked to."""
    if variant == "floor":
        import floor

        floor.instrument()
    elif variant == "ours":
        import ai_usage

        sdks = ["openai", "google_genai", *(["anthropic"] if with_anthropic else [])]
        ai_usage.instrument(sdks=sdks, tracer_provider=provider)
    elif variant == "official":
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
        from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor

        OpenAIInstrumentor().instrument()
        if with_anthropic:
            from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor

            AnthropicInstrumentor().instrument()
        # Its latest release asks for an older google-genai, and works.
        GoogleGenAiSdkInstrumentor().instrument(skip_dep_check=True)
    elif variant == "openllmetry":
        from opentelemetry.instrumentation.google_generativeai import GoogleGenerativeAiInstrumentor
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
        if with_anthropic:
            from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

            AnthropicInstrumentor().instrument()
        GoogleGenerativeAiInstrumentor().instrument()
    elif variant == "openinference":
        from openinference.instrumentation.google_genai import GoogleGenAIInstrumentor
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
        if with_anthropic:
            from openinference.instrumentation.anthropic import AnthropicInstrumentor

            AnthropicInstrumentor().instrument()
        GoogleGenAIInstrumentor().instrument()


def classes() -> dict[str, type]:
    """Return the classes of the SDKs that calls are made with."""
    import openai
    from google.genai.models import Models
    from openai.resources.chat.completions import AsyncCompletions, Completions
    from openai.resources.embeddings import Embeddings

    return {
        kind.__name__: kind
        for kind in (openai.OpenAI, openai.AsyncOpenAI, Completions, AsyncCompletions, Embeddings, Models)
    }


def plain_classes() -> dict[str, type]:
    """Return the same with their methods of now as their own: what is instrumented later leaves these alone."""
    return {
        name: type(name, (kind,), {method: getattr(kind, method) for method in WRAPPED if hasattr(kind, method)})
        for name, kind in classes().items()
    }


def make_calls(made_with: dict[str, type]) -> dict[str, object]:
    """Return one callable a kind, each making one call; ``async`` makes it on a running loop."""
    import httpx2
    from google import genai
    from google.genai import types

    bodies = {
        "completions": json.dumps(CHAT).encode(),
        "embeddings": json.dumps(EMBEDDINGS).encode(),
        f"{GEMINI}:generateContent": json.dumps(CONTENT).encode(),
    }
    streamed = {b'"n":1,': stream_body(CHUNKS), b'"n":2,': stream_body(MANY_CHUNKS)}

    def answer(request: httpx2.Request) -> httpx2.Response:
        if b'"stream":true' in request.content:
            body = next(body for mark, body in streamed.items() if mark in request.content)
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
        body = bodies[request.url.path.rpartition("/")[2]]
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=body)

    def connect() -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(answer))

    client = made_with["OpenAI"](api_key="k", http_client=connect())
    streaming = made_with["OpenAI"](api_key="k", http_client=connect())
    streaming._make_sse_decoder = decoding_once(streaming._make_sse_decoder)
    streaming._process_response_data = building_once(streaming._process_response_data)
    aclient = made_with["AsyncOpenAI"](
        api_key="k", http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    )
    gemini = genai.Client(api_key="k", http_options=types.HttpOptions(httpx_client=connect()))
    chat, achat = made_with["Completions"](client), made_with["AsyncCompletions"](aclient)
    streams, vectors = made_with["Completions"](streaming), made_with["Embeddings"](client)
    models = made_with["Models"](gemini._api_client)

    def sync() -> None:
        chat.create(model=MODEL, messages=HELLO)

    async def asynchronous() -> None:
        await achat.create(model=MODEL, messages=HELLO)

    def stream(n: int = 1) -> None:
        for _ in streams.create(model=MODEL, messages=HELLO, n=n, stream=True, stream_options={"include_usage": True}):
            pass

    def long_stream() -> None:
        stream(n=2)

    def embeddings() -> None:
        vectors.create(model="text-embedding-3-small", input="hello")

    def google() -> None:
        models.generate_content(model=GEMINI, contents="hello")

    return {
        "sync": sync,
        "async": asynchronous,
        "stream": stream,
        "embeddings": embeddings,
        "google": google,
        "unsampled": sync,
        "long_stream": long_stream,
    }


class Event:
    """Stand for an event of a stream that is decoded already."""

    def __init__(self, decoded: object) -> None:
        self.data, self.event = decoded.data, decoded.event
        self._content = None if self.data == "[DONE]" else decoded.json()

    def json(self) -> object:
        """Return its data."""
        return self._content


def decoding_once(make_decoder: object) -> object:
    """Return what makes decoders of streams, made to decode equal ones once, as ``building_once`` builds."""
    events = {}

    class Decoder:
        def iter_bytes(self, pieces: object) -> object:
            body = b"".join(pieces)
            if body not in events:
                events[body] = [Event(one) for one in make_decoder().iter_bytes(iter([body]))]
            return iter(events[body])

    return Decoder


def building_once(build: object) -> object:
    """Return what builds the chunks of a stream, made to build equal ones once.

    The SDK spends 850,000 instructions on a chunk and, from process to process, 100,000 more or fewer on 50 of them:
    what is added to a stream, some 300,000, could not be told beside that.
    """
    built = {}

    def process(*, data: dict[str, object], **more: object) -> object:
        key = id(data)  # kept by who decoded it
        if key not in built:
            built[key] = build(data=data, **more)
        return built[key]

    return process


def within_unsampled_trace() -> contextlib.AbstractContextManager[object]:
    """Make an unsampled span current."""
    from opentelemetry import trace

    return trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=False)))


class Caller:
    """Make calls of a kind."""

    def __init__(self, made_with: dict[str, type]) -> None:
        self._calls = make_calls(made_with)
        self._loop = asyncio.new_event_loop()

    def __call__(self, kind: str, times: int) -> int:
        """Make a call so many times and return the nanoseconds of CPU this took."""
        call = self._calls[kind]
        with within_unsampled_trace() if kind == "unsampled" else contextlib.nullcontext():
            start = time.process_time_ns()
            if asyncio.iscoroutinefunction(call):
                self._loop.run_until_complete(self._await(call, times))
            else:
                for _ in range(times):
                    call()
            return time.process_time_ns() - start

    async def _await(self, call: object, times: int) -> None:
        for _ in range(times):
            await call()


class Pairs:
    """Time calls side by side: one that is instrumented and one that is not, in this process, turn by turn.

    What differs between two processes (where things lie in memory, what the machine does) is more than what is to be
    measured here. Two calls that follow each other share it.
    """

    def __init__(self, plain: dict[str, type]) -> None:
        self._plain, self._counted = make_calls(plain), make_calls(classes())
        self._loop = asyncio.new_event_loop()

    def __call__(self, kind: str, times: int) -> float:
        """Make so many pairs and return the median of what the instrumented call took longer, in ns of CPU."""
        calls = self._plain[kind], self._counted[kind]
        with within_unsampled_trace() if kind == "unsampled" else contextlib.nullcontext():
            if asyncio.iscoroutinefunction(calls[0]):
                added = self._loop.run_until_complete(self._add_up_async(*calls, times))
            else:
                added = self._add_up(*calls, times)
        return statistics.median(added)

    @staticmethod
    def _add_up(plain: object, counted: object, times: int) -> list[int]:
        added = []
        now = time.process_time_ns
        for number in range(times):
            first, second = (plain, counted) if number % 2 else (counted, plain)
            start = now()
            first()
            middle = now()
            second()
            longer = now() - middle - (middle - start)
            added.append(longer if number % 2 else -longer)
        return added

    @staticmethod
    async def _add_up_async(plain: object, counted: object, times: int) -> list[int]:
        added = []
        now = time.process_time_ns
        for number in range(times):
            first, second = (plain, counted) if number % 2 else (counted, plain)
            start = now()
            await first()
            middle = now()
            await second()
            longer = now() - middle - (middle - start)
            added.append(longer if number % 2 else -longer)
        return added


def measure_times(provider: object, plain: dict[str, type]) -> None:
    """Answer every line ``KIND TIMES`` on stdin with microseconds of CPU added to a call, and spans a call."""
    pairs = Pairs(plain)
    for line in sys.stdin:
        kind, times = line.split()
        exported.clear()
        gc.collect()
        gc.disable()
        added_ns = pairs(kind, int(times))
        gc.enable()
        provider.force_flush()
        print(json.dumps({"us": added_ns / 1000, "spans": sum(exported) / int(times)}), flush=True)


def count_instructions(times: int) -> None:
    """Make calls of every kind between two calls of ``getppid``, with counting switched on only around these.

    Callgrind writes its counters down whenever this function of the C library is called (``--dump-before``).
    """
    call = Caller(classes())
    gc.disable()
    for kind in KINDS:
        call(kind, 5 if kind == "long_stream" else 20)  # the interpreter adapts to what runs often
        switch_counting("on")
        call(kind, 1)
        os.getppid()
        call(kind, times)
        os.getppid()
        switch_counting("off")


def count_functions() -> dict[str, int]:
    """Return how many functions, Python's and C's, one call of each kind runs: rough, but the same on every machine."""
    call = Caller(classes())
    found = dict.fromkeys(KINDS, 0)

    def note(_frame: object, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            found[kind] += 1

    gc.disable()
    for kind in KINDS:
        call(kind, 2)
        sys.setprofile(note)
        call(kind, 1)
        sys.setprofile(None)
    return found


def switch_counting(state: str) -> None:
    """Tell the valgrind this process runs under to count instructions or not."""
    command = ["vgdb", f"--vgdb-prefix={os.environ['VGDB_PREFIX']}", f"--pid={os.getpid()}", "instrumentation", state]
    subprocess.run(command, check=True, capture_output=True)


def resident_mib() -> float:
    """Return the memory of this process."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_import(variant: str, provider: object) -> dict[str, float]:
    """Return what a variant adds to an app that has SDKs and OpenTelemetry, up to the end of its first call."""
    gc.collect()
    before_mib, start_ns = resident_mib(), time.process_time_ns()
    instrument(variant, provider, with_anthropic=True)
    instrumented_ns = time.process_time_ns()
    instrumented_mib = resident_mib()
    call = Caller(classes())
    first_ns = call("sync", 1)
    return {
        "ms": (instrumented_ns - start_ns) / 1e6,
        "mib": instrumented_mib - before_mib,
        "first_call_ms": first_ns / 1e6,
        "first_call_mib": resident_mib() - instrumented_mib,
    }


def main() -> None:
    variant, what = sys.argv[1:3]
    import google.genai  # noqa: F401 - the app has it
    import openai  # noqa: F401

    provider, plain = set_up_tracing(), plain_classes()
    if what == "import":
        import anthropic  # noqa: F401

        print(json.dumps(measure_import(variant, provider)), flush=True)
    else:
        instrument(variant, provider, with_anthropic=False)
        if what == "times":
            measure_times(provider, plain)
        elif what == "functions":
            print(json.dumps(count_functions()), flush=True)
        else:
            count_instructions(int(sys.argv[3]))
    os._exit(0)  # no exporter's last words in the measurement


if __name__ == "__main__":
    main()
