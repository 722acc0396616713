"""No SDK release can add a billable call unseen: every method whose reply carries usage is counted or explained."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import anthropic
import anthropic._resource
import httpx2
import openai
import openai._resource
import pytest
from google import genai
from openai.types.chat import ChatCompletion

from tests.integration.instrumentation.sdk_walk import usage_methods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.integration.instrumentation.conftest import Spans
    from tests.integration.instrumentation.sdk_walk import Found

READ_AGAIN = "reads again what was counted when it was made"
STORED = "gives stored items back; their usage was counted with the call that made them"
BACKGROUND = "no new call; the first to find a background response finished tells its usage (test_background.py)"
BATCH = "a batch runs elsewhere and later, at its own prices; its usage can be read any number of times"
ASSISTANTS = "assistants run on the provider's side; their usage is repeated by every read of the run"
AGENTS = "agents run on the provider's side; the session's running totals are repeated by every read"
REPORT = "the provider's own statistics about all calls"
SOCKET = "no request but a socket: usage comes with its events"

OPENAI: Mapping[str, str] = {
    "batches.Batches": BATCH,
    "beta.agents.sessions": AGENTS,
    "beta.responses.input_items.InputItems.list": STORED,
    "beta.responses.responses.Responses.retrieve": BACKGROUND,
    "beta.responses.responses.Responses.cancel": READ_AGAIN,
    "beta.threads": ASSISTANTS,
    "chat.completions.completions.Completions.retrieve": READ_AGAIN,
    "chat.completions.completions.Completions.update": READ_AGAIN,
    "chat.completions.completions.Completions.list": READ_AGAIN,
    "conversations.items.Items": STORED,
    "evals.runs.output_items.OutputItems": "evaluations run on the provider's side; this lists what they did",
    "responses.input_items.InputItems.list": STORED,
    "responses.responses.Responses.retrieve": BACKGROUND,
    "responses.responses.Responses.cancel": READ_AGAIN,
}
ANTHROPIC: Mapping[str, str] = {
    "beta.dreams.Dreams": AGENTS,
    "beta.environments.work.Work": "runs tools for an agent on the provider's side; its reply is no model's",
    "beta.messages.batches.Batches.results": BATCH,
    "beta.organization.analytics.usage.Usage.list": REPORT,
    "beta.sessions": AGENTS,
    "messages.batches.Batches.results": BATCH,
}
GOOGLE: Mapping[str, str] = {
    "_adapters.McpToGenAiToolAdapter.call_tool": "runs a tool of the app's; its reply is no model's",
    "_extra_utils.StreamContinuation.observe": "looks at a reply, asks for none",
    "_gaos.google_genai.GeminiNextGenInteractions.get": READ_AGAIN,
    "_gaos.google_genai.GeminiNextGenInteractions.cancel": READ_AGAIN,
    "_gaos.google_genai.GeminiNextGenInteractions.connect": SOCKET,
    "_gaos.interactions.Interactions.get": READ_AGAIN,
    "_gaos.interactions.Interactions.cancel": READ_AGAIN,
    "_gaos.voices.Voices": "makes and lists voices; no model answers",
    "batches.Batches": BATCH,
    "caches.Caches": "stores a prompt, billed by the hour; its usage says how large it is",
    "live.Session": SOCKET,
}
GIVEN: Mapping[str, Any] = {
    "messages": [{"role": "user", "content": "x"}],
    "file": ("x.wav", b"x"),
    "image": ("x.png", b"x"),
    "max_tokens": 1,
    "input": "x",
    "questions": {},
    "contents": "x",
}


def explained(name: str, reasons: Mapping[str, str]) -> str | None:
    """Return the entry of an ignore list that covers a method; async twins share their sync class's."""
    sync = name.replace(".Async", ".")
    return next((entry for entry in reasons if sync == entry or sync.startswith(f"{entry}.")), None)


def uncovered(
    found: Iterable[Found], reasons: Mapping[str, str], is_counted: Callable[[Found], bool]
) -> tuple[list[str], set[str]]:
    """Return the methods that are neither counted nor explained, and the entries that explained something."""
    missing, used = [], set()
    for method in found:
        entry = explained(method.name, reasons)
        if entry is not None:
            used.add(entry)
        elif not is_counted(method):
            missing.append(method.name)
    return missing, used


class Caller:
    """Call a method with made-up arguments on a client whose server answers ``{}``; tell whether a span came."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self.requests: list[str] = []
        self.transport = httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        return httpx2.Response(200, json={})

    async def call(self, resource: Any, found: Found) -> bool:
        """Raise when no request was made: then nothing is known."""
        self._spans.exporter.clear()
        self.requests.clear()
        failure: Exception | None = None
        try:
            with warnings.catch_warnings(action="ignore"):
                result = getattr(resource, found.method)(**arguments(getattr(found.owner, found.method)))
                if inspect.isawaitable(result):
                    result = await result
            if hasattr(result, "__anext__"):
                async for _ in result:
                    pass
            elif hasattr(result, "__next__"):
                for _ in result:
                    pass
        except Exception as error:
            failure = error  # an empty answer suits no parser; the request was made before
        if not self.requests:
            pytest.fail(f"{found.name} made no request: {failure!r}; give it arguments")
        return len(self._spans.all()) == len(self.requests)


def arguments(function: Any) -> dict[str, Any]:
    """Make up what a method requires, and what makes a request worth sending."""
    parameters = inspect.signature(inspect.unwrap(function)).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    made_up = {"model": "x", "input": "x"} if inspect.Parameter.VAR_KEYWORD in kinds else {}
    for name, parameter in parameters.items():
        is_named = parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        if is_named and name != "self" and (name in GIVEN_ALWAYS or parameter.default is parameter.empty):
            made_up[name] = GIVEN.get(name, "x")
    return made_up


GIVEN_ALWAYS = frozenset({"messages", "model", "input", "max_tokens", "contents"})


@pytest.fixture
def caller(spans: Spans) -> Caller:
    return Caller(spans)


async def stainless_missing(
    package: Any, clients: tuple[Any, Any], reasons: Mapping[str, str], caller: Caller
) -> tuple[list[str], set[str]]:
    bases = (package._resource.SyncAPIResource, package._resource.AsyncAPIResource)
    found = list(usage_methods(f"{package.__name__}.resources", bases))
    assert len(found) > 40
    counted = set()
    for method in found:
        if explained(method.name, reasons) is None:
            client = clients[issubclass(method.owner, bases[1])]
            if await caller.call(method.owner(client), method):
                counted.add(method)
    return uncovered(found, reasons, counted.__contains__)


def openai_clients(caller: Caller) -> tuple[openai.OpenAI, openai.AsyncOpenAI]:
    return (
        openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=caller.transport)),
        openai.AsyncOpenAI(api_key="k", http_client=httpx2.AsyncClient(transport=caller.transport)),
    )


async def test_every_method_of_openai_whose_reply_carries_usage_is_counted_or_explained(caller: Caller) -> None:
    missing, used = await stainless_missing(openai, openai_clients(caller), OPENAI, caller)
    assert missing == [], "cover them in ai_usage.openai, or say in OPENAI why they are no calls"
    assert used == set(OPENAI), "these explanations explain nothing any more"


async def test_every_method_of_anthropic_whose_reply_carries_usage_is_counted_or_explained(caller: Caller) -> None:
    clients = (
        anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=caller.transport)),
        anthropic.AsyncAnthropic(api_key="k", http_client=httpx2.AsyncClient(transport=caller.transport)),
    )
    missing, used = await stainless_missing(anthropic, clients, ANTHROPIC, caller)
    assert missing == [], "cover them in ai_usage.anthropic, or say in ANTHROPIC why they are no calls"
    assert used == set(ANTHROPIC), "these explanations explain nothing any more"


async def test_every_method_of_google_genai_whose_reply_carries_usage_is_counted_or_explained(caller: Caller) -> None:
    client = genai.Client(
        api_key="k",
        http_options={
            "httpx_client": httpx2.Client(transport=caller.transport),
            "httpx_async_client": httpx2.AsyncClient(transport=caller.transport),
        },
    )
    resources = {
        type(resource): resource
        for resource in (
            *(client.models, client.aio.models, client.chats.create(model="m"), client.aio.chats.create(model="m")),
            *(client.interactions, client.aio.interactions, client.decisions, client.aio.decisions),
        )
    }
    found = [method for method in usage_methods("google.genai") if explained(method.name, GOOGLE) is not None]
    counted = set()
    for method in usage_methods("google.genai"):
        if explained(method.name, GOOGLE) is None:
            found.append(method)
            resource = next((r for kind, r in resources.items() if issubclass(kind, method.owner)), None)
            if resource is not None and await caller.call(resource, method):
                counted.add(method)
    missing, used = uncovered(found, GOOGLE, counted.__contains__)
    assert len(found) > 40
    assert missing == [], "cover them in ai_usage.google_genai, or say in GOOGLE why they are no calls"
    assert used == set(GOOGLE), "these explanations explain nothing any more"


async def test_the_walk_reports_a_method_that_nobody_thought_of(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def imagine(self: openai.resources.Embeddings) -> ChatCompletion:
        return self._post("/imaginations", body={"model": "m"}, cast_to=ChatCompletion)

    monkeypatch.setattr(openai.resources.Embeddings, "imagine", imagine, raising=False)
    missing, _ = await stainless_missing(openai, openai_clients(caller), OPENAI, caller)
    assert missing == ["embeddings.Embeddings.imagine"]


async def test_the_walk_reports_a_call_that_is_no_longer_wrapped(caller: Caller) -> None:
    from ai_usage.openai import OpenAIInstrumentor

    OpenAIInstrumentor().uninstrument()
    missing, _ = await stainless_missing(openai, openai_clients(caller), OPENAI, caller)
    assert "chat.completions.completions.Completions.create" in missing
    assert "responses.responses.AsyncResponses.compact" in missing
