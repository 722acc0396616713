"""Recorded provider traffic: every interaction whose reply carries usage, and which SDK can replay it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import yaml
from botocore.eventstream import EventStreamBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "provider-recordings"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INVOKE = re.compile(r"/invoke(-with-response-stream)?$")
_USAGE = re.compile(r'"usage(?:Metadata)?"\s*:\s*\{')


class Tokens(NamedTuple):
    """Hold what a recorded body says, input with cache and output with reasoning; read here independently."""

    input: int | None
    output: int | None


class Recording(NamedTuple):
    """Hold one recorded request and its reply, decoded."""

    name: str
    uri: str
    request: dict[str, Any]
    reply: bytes
    is_stream: bool

    @property
    def path(self) -> str:
        """Return the path of the request."""
        return urlsplit(self.uri).path

    @property
    def sdk(self) -> str | None:
        """Return which of our SDKs speaks this endpoint, ``None`` for those of others."""
        if re.search(r"/(chat/completions|completions|embeddings|responses)$", self.path):
            return "openai"
        if self.path.endswith("/v1/messages") or self.is_anthropic_on_bedrock:
            return "anthropic"
        if re.search(r":(generateContent|streamGenerateContent)$", self.path):
            return "google_genai"
        return None

    @property
    def is_anthropic_on_bedrock(self) -> bool:
        """Tell whether this is Anthropic's message, asked for by Amazon's own request."""
        return "/anthropic." in self.path.replace("us.", "") and _INVOKE.search(self.path) is not None

    @property
    def why_not(self) -> str:
        """Say why no SDK of ours replays it."""
        host = urlsplit(self.uri).hostname or ""
        if host.endswith(".amazonaws.com"):
            return "Bedrock's own API or another vendor's model on it, called by boto3"
        if "/threads" in self.path:
            return "assistant runs: deprecated, not counted (see the walk's explanations)"
        return f"an SDK we do not instrument ({host})"

    def bodies(self) -> list[Any]:
        """Return the reply's JSON documents: one, or one an event."""
        if self.path.endswith("/invoke-with-response-stream"):
            return [json.loads(chunk) for chunk in _chunks(self.reply)]
        if not self.is_stream:
            return [json.loads(self.reply)]
        documents = []
        for line in self.reply.decode().splitlines():
            data = line.removeprefix("data:").strip()
            if line.startswith("data:") and data.startswith("{"):
                documents.append(json.loads(data))
        return documents

    def expected(self) -> Tokens:
        """Add up the recorded usage by each provider's own rules (wire truth, not our code)."""
        bodies = self.bodies()
        if self.sdk == "google_genai":
            usage = [b["usageMetadata"] for b in _flat(bodies) if b.get("usageMetadata")][-1]
            return Tokens(
                usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0),
                usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0),
            )
        if self.sdk == "anthropic":
            merged: dict[str, Any] = {}
            for body in bodies:
                usage = body.get("usage") or (body.get("message") or {}).get("usage") or {}
                merged |= {key: value for key, value in usage.items() if value is not None}
            cache_tokens = merged.get("cache_read_input_tokens", 0) + merged.get("cache_creation_input_tokens", 0)
            return Tokens(merged["input_tokens"] + cache_tokens, merged["output_tokens"])
        usages = [u for b in bodies if (u := b.get("usage") or (b.get("response") or {}).get("usage"))]
        usage = usages[-1]
        return Tokens(
            usage.get("prompt_tokens", usage.get("input_tokens")),
            usage.get("completion_tokens", usage.get("output_tokens")),
        )


@cache
def recordings() -> tuple[Recording, ...]:
    """Return every recorded, successful interaction whose reply carries usage."""
    return tuple(_read_all())


def _read_all() -> Iterator[Recording]:
    for file in sorted(FOLDER.rglob("*.yaml")):
        for number, interaction in enumerate(yaml.load(file.read_bytes(), Loader=_LOADER)["interactions"]):  # noqa: S506 - a safe loader
            response, request = interaction["response"], interaction["request"]
            reply = _decoded(response["body"].get("string") or b"")
            is_binary = request["uri"].endswith("/invoke-with-response-stream") and reply.startswith(b"\0")
            said = b"".join(_chunks(reply)) if is_binary else reply
            if response["status"]["code"] != 200 or not _USAGE.search(said.decode("utf-8", "replace")):
                continue
            sent = _decoded(request["body"] or b"")
            try:
                body = json.loads(sent) if sent else {}
            except ValueError:
                body = {}
            is_stream = is_binary or reply.lstrip().startswith((b"data:", b"event:"))
            yield Recording(f"{file.stem}#{number}", request["uri"].partition("#")[0], body, reply, is_stream)


def _decoded(body: bytes | str | dict[str, Any]) -> bytes:
    if isinstance(body, dict):
        return json.dumps(body).encode()
    raw = body.encode() if isinstance(body, str) else body
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def _chunks(frames: bytes) -> list[bytes]:
    """Return the payloads of Amazon's event frames, read by Amazon's own reader."""
    buffer = EventStreamBuffer()
    buffer.add_data(frames)
    payloads = [json.loads(event.payload or b"{}") for event in buffer]
    return [base64.b64decode(payload["bytes"]) for payload in payloads if "bytes" in payload]


def _flat(bodies: list[Any]) -> list[dict[str, Any]]:
    return [item for body in bodies for item in (body if isinstance(body, list) else [body])]
