"""What redaction.yaml lets leave the host: usage, and no word of what was asked or answered."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ai_usage_exporter import normalize
from tests.collector.app import App
from tests.collector.installation import Installation
from tests.collector.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(600)

SECRET = "the patient's secret"
CONTENT = (
    # OpenTelemetry conventions, now and before.
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.retrieval.documents", "gen_ai.prompt",
    "gen_ai.completion", "gen_ai.content.prompt",
    # OpenLLMetry.
    "gen_ai.prompt.0.content", "gen_ai.completion.0.content", "gen_ai.completion.0.tool_calls.0.arguments",
    "llm.request.functions.0.description", "traceloop.entity.input", "traceloop.entity.output",
    # OpenInference.
    "input.value", "output.value", "llm.input_messages.0.message.content", "llm.output_messages.0.message.content",
    "llm.prompts", "llm.prompt_template.template", "llm.tools.0.tool.json_schema",
    "retrieval.documents.0.document.content", "embedding.embeddings.0.embedding.text", "tool.parameters",
    # Vercel, Langfuse, MLflow, Logfire, Pydantic AI, ADK, command-line agents.
    "ai.prompt", "ai.prompt.messages", "ai.response.text", "ai.response.toolCalls", "ai.toolCall.args", "ai.values",
    "langfuse.observation.input", "langfuse.trace.output", "mlflow.spanInputs", "mlflow.spanOutputs",
    "mlflow.chat.messages", "mlflow.chat.tools", "request_data", "response_data", "events", "prompt",
    "pydantic_ai.all_messages", "gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response",
    "tool_arguments", "request_text", "response_text",
)  # fmt: skip
KEPT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
    "llm.token_count.prompt": 100,
    "ai.usage.promptTokens": 100,
    "gen_ai.prompt_id": "p-1",
    "user.id": "customer-4711",
    "ai_usage.service.action": "analyze",
}
GONE = {
    "mlflow.spanInputs",  # MLflow: the model of a call that names it nowhere else
    "mlflow.spanOutputs",  # The id of the reply is kept, see below.
    "output.value",  # OpenInference: the same.
}
"""What ai-usage would read in a dialect and does without."""


@pytest.fixture
def redacting(collector_binary: str, database_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Give redaction.yaml in front of a receiver that remembers the bytes."""
    run = Installation(collector_binary, None, database_url, tmp_path)
    try:
        collector = run.add("redaction.yaml", RECEIVER_ENDPOINT=run.sink.address, RECEIVER_PLAINTEXT="true")
        collector.start()
        run.app = App(f"127.0.0.1:{collector.grpc_port}")
        yield run
    finally:
        run.close()


def test_content_stays_and_usage_leaves(redacting: Installation) -> None:
    app, sink = redacting.app, redacting.sink
    attributes = dict.fromkeys(CONTENT, SECRET) | KEPT | {"user.email": "ana@example.com", "client.address": "10.1.2.3"}
    app.call(fails=True, event=SECRET, **attributes)
    app.finish()
    wait_until(lambda: sink.calls() == {"call-0"}, "the span")
    (call,) = (span for spans in sink.traces() for span in spans if span.name.startswith("chat"))
    found = {attribute.key: attribute.value for attribute in call.attributes}
    left = [key for key, value in found.items() if SECRET in str(value)]
    assert not left
    assert SECRET not in str(call.events)
    assert [event.name for event in call.events] == ["gen_ai.content.prompt"]
    assert "client.address" not in found
    assert not call.status.message
    assert call.status.code == 2
    for key, value in KEPT.items():
        assert value in (found[key].string_value, found[key].int_value), key
    assert found["user.email"].string_value == hashlib.sha256(b"ana@example.com").hexdigest()


@pytest.mark.parametrize(
    ("key", "reply", "kept"),
    [
        ("output.value", f'{{"id":"chatcmpl-77","text":"{SECRET}"}}', "chatcmpl-77"),
        ("output.value", f'{{"text":"{SECRET}","id":"chatcmpl-77"}}', ""),
        ("output.value", f"{SECRET}", ""),
        ("mlflow.spanOutputs", f'{{"id": "msg_77", "text": "{SECRET}"}}', "msg_77"),
        ("mlflow.spanOutputs", json.dumps(f'{{"id": "resp_77", "text": "{SECRET}"}}'), "resp_77"),
    ],
)
def test_the_id_of_a_reply_is_kept_and_not_its_words(redacting: Installation, key: str, reply: str, kept: str) -> None:
    app, sink = redacting.app, redacting.sink
    app.call(**{key: reply, "gen_ai.response.id": None})
    app.finish()
    wait_until(sink.traces, "the span")
    (call,) = (span for spans in sink.traces() for span in spans if span.name.startswith("chat"))
    found = {attribute.key: attribute.value.string_value for attribute in call.attributes}
    assert found.get("gen_ai.response.id", "") == kept
    assert SECRET not in str(call)


def read_by_ai_usage() -> set[str]:
    """Return every name in the sources of the dialects that could be an attribute's."""
    return {
        node.value
        for source in Path(normalize.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[a-zA-Z_]+([._][a-zA-Z0-9_]+)+", node.value)
    }


def test_everything_ai_usage_counts_by_leaves_as_it_was(redacting: Installation) -> None:
    app, sink = redacting.app, redacting.sink
    keys = read_by_ai_usage()
    assert len(keys) > 150
    # An SDK keeps 128 attributes a span.
    names = sorted(keys)
    for start in range(0, len(names), 64):
        app.call(**dict.fromkeys(names[start : start + 64], "kept"))
    app.finish()
    wait_until(lambda: len(sink.traces()) == len(app.calls), "all spans")
    found = {
        attribute.key
        for spans in sink.traces()
        for span in spans
        for attribute in span.attributes
        if attribute.value.string_value == "kept"
    }
    assert keys - found == GONE
