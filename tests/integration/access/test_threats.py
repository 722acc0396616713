"""What attackers try: odd paths and hosts, SQL, markup, formulas, bombs, forged log lines, secrets that come along."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import re
import resource
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import asyncpg
import grpc
import grpc.aio
import pytest

from ai_usage_exporter.api import page
from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.api.usage import PREFIX
from ai_usage_exporter.keys import Role
from tests.conformance.ours import serving
from tests.conformance.spans import body_of, request, span, text
from tests.conformance.target import Target
from tests.conformance.wire import EXPORT, call, post

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import httpx2

    from tests.integration.access.installation import Installation

SQL = (
    "'",
    "' OR '1'='1",
    "x'; DROP TABLE ai_usage_logs; --",
    "1) UNION SELECT token_hash::text FROM ai_usage_keys --",
    '"; SELECT pg_sleep(10); --',
    "$1",
    "{conditions}",
    "%27%20OR%201=1",
    "\\'; --",
    "’ OR 1=1",
)
MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'-alert(1)-'",
    "</script><script>alert(1)//",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "\u202egnp.exe<b>",
)
FORMULAS = (
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "  =1+1",
    '=HYPERLINK("x")',
)


def spans_named(names: Iterable[str]) -> bytes:
    """Return spans that carry each name wherever a sender can put one."""
    return body_of(
        *(
            span(
                text("ai_usage.service.name", name),
                text("ai_usage.service.action", name),
                text("gen_ai.response.model", name),
                text("user.id", name),
                text("user.email", name),
                text("error.type", name),
                text("gen_ai.conversation.id", name),
                text("ai_usage.metadata.note", name),
                name=name,
            )
            for name in names
        )
    )


async def ask(installation: Installation, path: str, **options: Any) -> httpx2.Response:
    headers = {"authorization": f"Bearer {installation.server.admin_token}"}
    return await installation.client.get(
        f"http://{installation.server.addresses['api']}{path}", headers=headers, **options
    )


async def raw(address: Any, path: str, host: str = "x", method: str = "GET", more: str = "") -> tuple[int, bytes]:
    """Send a request line as it is and return status and answer."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode())
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0, answer


async def test_no_odd_path_or_host_gets_past_the_token(installation: Installation) -> None:
    await installation.key(Role.INGEST)
    api, otlp = installation.server.addresses["api"], installation.server.addresses["otlp_http"]
    summary = f"{PREFIX}/summary"
    opened = []
    for path in (
        summary,
        f"/{summary}",
        f"{summary}/",
        f"{PREFIX}//summary",
        f"{PREFIX}/./summary",
        f"{PREFIX}/x/../summary",
        f"/livez/..{summary}",
        f"/livez/..;{summary}",
        f"/livez/%2e%2e{summary}",
        f"/livez%2f..{summary}",
        f"/healthz;{summary}",
        f"/healthz?{summary}",
        quote(summary, safe=""),
        summary.replace("/", "%2F"),
        summary.upper(),
        summary.replace("summary", "%73ummary"),
        f"{summary}%00",
        f"{summary}%0d%0aauthorization:%20Bearer%20x",
        f"{summary}#/livez",
        f"{summary};/livez",
        f"http://x/livez/..{summary}",
        f"http://x{summary}",
        "/metrics",
        "//metrics",
        "/metrics/",
        "/docs/files/../../openapi.json",
        "/admin/ai-usage/assets/../../../etc/passwd",
        "/admin/ai-usage/assets/..%2f..%2fapp.py",
        "/docs/files/%2e%2e%2f__init__.py",
    ):
        for host in ("x", "x/#@y", f"x{summary}?", "livez", "", "localhost\t/livez", "[::1]/livez#"):
            status, answer = await raw(api, path, host)
            if status not in {400, 401, 404} and not (status == 200 and answer.endswith((b"ok", b'{"status":"ok"}'))):
                opened.append((path, host, status))
            assert b"total_tokens" not in answer
    assert not opened
    for path in (
        "/v1/traces",
        "//v1/traces",
        "/v1%2Ftraces",
        "/v1/traces/",
        "/V1/Traces",
        "/v1/./traces",
        "/v1/traces;x",
    ):
        more = "content-type: application/x-protobuf\r\ncontent-length: 0\r\n"
        assert (await raw(otlp, path, method="POST", more=more))[0] in {401, 404}, path
    for method in (EXPORT, EXPORT[1:], f"/{EXPORT}", EXPORT.upper(), EXPORT.replace("/E", "%2FE"), f"{EXPORT}/"):
        answer = await installation.call(body_of(span()), method=method)
        assert answer.code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED}, method
    assert not await installation.connection.fetchval("SELECT count(*) FROM ai_usage_logs")


async def test_sql_in_any_parameter_token_or_name_stays_text(installation: Installation) -> None:
    assert (await installation.post(spans_named(SQL))).code == 200
    connection = installation.connection
    tables = [row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]

    async def sizes() -> list[int]:
        return [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables]

    before = await sizes()
    app = create_app(
        installation.server.reader,
        AdminToken(installation.server.admin_token),
        Sessions(installation.server.reader.pool),
    )
    failed = []
    for path, methods in app.openapi()["paths"].items():
        for parameter in methods["get"].get("parameters", []):
            name, kind = parameter["name"], parameter["in"]
            needed = "&group_by=service" if "breakdown" in path and name != "group_by" else ""
            is_list = "array" in json.dumps(parameter["schema"])
            for values in [SQL] if is_list else [[value] for value in SQL[:4]]:
                asked = (
                    path.replace("{id}", quote(values[0], safe=""))
                    if kind == "path"
                    else f"{path.replace('{id}', 'x')}?{urlencode([(name, value) for value in values])}{needed}"
                )
                response = await ask(installation, asked)
                if response.status_code not in {200, 404, 422}:
                    failed.append((asked, response.status_code))
                assert "syntax error" not in response.text
    assert not failed
    for value in SQL:
        found = await ask(installation, f"{PREFIX}/logs", params={"user": value, "service": value, "model": value})
        assert [item["user"] for item in found.json()["items"]] == [value], "found by its very text"
        token = quote(value) if not value.isascii() else value
        refused = await ask(installation, f"{PREFIX}/meta?tz={quote(value)}")
        assert refused.status_code == 422
        url = f"http://{installation.server.addresses['api']}{PREFIX}/meta"
        for headers in ({"authorization": f"Bearer {token}"}, {"cookie": f"ai_usage_session={quote(value)}"}):
            assert (await installation.client.get(url, headers=headers)).status_code == 401
    assert await sizes() == before


async def test_markup_in_names_is_never_markup(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (await installation.post(spans_named(MARKUP))).code == 200
    row_id = await installation.connection.fetchval("SELECT id FROM ai_usage_logs LIMIT 1")
    for path in (
        f"{PREFIX}/summary",
        f"{PREFIX}/breakdown?group_by=model&group_by=user",
        f"{PREFIX}/logs",
        f"{PREFIX}/logs/{row_id}",
        f"{PREFIX}/meta",
        f"{PREFIX}/export.csv",
        f"{PREFIX}/users/{quote(MARKUP[0], safe='')}",
        f"{PREFIX}/users/{quote('<script>alert(2)</script>', safe='')}",
        f"{PREFIX}/summary?days={quote(MARKUP[1])}",
        f"/{quote(MARKUP[0])}",
        "/admin/ai-usage",
    ):
        response = await ask(installation, path)
        assert response.headers["x-content-type-options"] == "nosniff"
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert re.search(r"script-src 'self'(;|$)", policy), "nothing inline, nothing from elsewhere"
        assert "frame-ancestors 'none'" in policy
        if response.headers["content-type"].startswith("text/html"):
            assert path == "/admin/ai-usage"
            assert "alert(1)" not in response.text
    # The page that is shown when the other was not built is made of names on the server.
    monkeypatch.setattr(page, "STATIC_FOLDER", tmp_path)
    plain = await ask(installation, "/admin/ai-usage")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in plain.text
    assert not any(name in plain.text for name in MARKUP if "<" in name)


async def test_no_exported_cell_is_a_formula(installation: Installation) -> None:
    assert (await installation.post(spans_named(FORMULAS))).code == 200
    count = await installation.connection.fetchval("SELECT count(*) FROM ai_usage_logs")
    assert count == len(FORMULAS)
    group_by = "&".join(f"group_by={name}" for name in ("user", "service", "model"))
    for path in (f"{PREFIX}/export.csv", f"{PREFIX}/breakdown.csv?{group_by}"):
        content = (await ask(installation, path)).content.decode()
        table = list(csv.reader(io.StringIO(content, newline="")))
        assert len(table) == count + 1
        for row in table[1:]:
            for name, cell in zip(table[0], row, strict=True):
                is_number = re.fullmatch(r"-?[\d.]+", cell) and name not in {"user", "service", "model", "user_email"}
                assert is_number or not cell.lstrip(" ").startswith(tuple("=+-@\t\r\n＝＋－＠")), (path, name, cell)
        texts = {cell for row in table for cell in row}
        assert {f"'{name}" for name in FORMULAS} <= texts, "each is there, behind a quote"
        assert any(re.fullmatch(r"1000", cell) for cell in texts), "numbers stay numbers"


async def zipped_answer(installation: Installation, body: bytes, metadata: list[tuple[str, str]]) -> grpc.StatusCode:
    """Return how gRPC answers a zipped message that is not accepted, once it may be tried no more."""
    while True:
        # Zipping blocks the loop that the server shares with the test: it may not have heard of its keys for a while.
        export = installation.channel.unary_unary(EXPORT)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await export(body, metadata=metadata, compression=grpc.Compression.Gzip, timeout=60)
        if (code := failed.value.code()) is not grpc.StatusCode.UNAVAILABLE:
            return code


async def test_a_bomb_goes_off_nowhere(installation: Installation) -> None:
    key = await installation.key(Role.INGEST)
    bearer = ("authorization", f"Bearer {key.token}")
    bomb = gzip.compress(bytes(512 * 1024 * 1024), 9)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (await installation.post(bomb, ("content-encoding", "gzip"))).code == 401
    refused = await installation.post(bomb, ("content-encoding", "gzip"), bearer)
    assert refused.code == 413
    assert "AI_USAGE_MAX_" in refused.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200 * 1024
    too_long = bytes(70 * 1024 * 1024)
    for metadata, code in (([], grpc.StatusCode.UNAUTHENTICATED), ([bearer], grpc.StatusCode.RESOURCE_EXHAUSTED)):
        assert await zipped_answer(installation, too_long, metadata) is code
    assert (await installation.post(body_of(span()), bearer)).code == 200


CANARY = "canary-5f1c-s3cret"
FORGED = '\r\n{"event": "forged", "level": "info"}\x1b[2J\x1b]0;owned\x07'


def test_secrets_and_forged_lines_get_nowhere(database_url: str, tmp_path: Path) -> None:
    parts = urlsplit(database_url)
    host = parts.netloc.rpartition("@")[2]
    user = parts.username or "postgres"
    with_password = urlunsplit(parts._replace(netloc=f"{user}:{CANARY}@{host}"))
    told: list[bytes] = []
    headers_told = ""
    with serving(with_password, tmp_path, AI_USAGE_LOG_LEVEL="debug") as (_process, places):
        target = Target(places["otlp_grpc"], places["otlp_http"])
        secrets = [
            text(name, f"Bearer {CANARY}")
            for name in (
                "http.request.header.authorization", "authorization", "api_key", "openai.api_key", "password",
                "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages", "gen_ai.output.messages",
                "gen_ai.system_instructions", "llm.prompts.0.content", "input.value", "output.value", "db.statement",
                "anything.else", "url.full", CANARY,
            )
        ]  # fmt: skip
        one = request(span(*secrets, name=f"chat {CANARY}", trace_state=f"k={CANARY}"))
        one.resource_spans[0].resource.attributes.extend([text("process.command_args", CANARY), text("env", CANARY)])
        one.resource_spans[0].scope_spans[0].scope.attributes.append(text("x", CANARY))
        event = one.resource_spans[0].scope_spans[0].spans[0].events.add(name="gen_ai.content.prompt")
        event.attributes.append(text("gen_ai.prompt", CANARY))
        headers = {"x-api-key": CANARY, "cookie": f"a={CANARY}", "x-other": CANARY, "user-agent": CANARY}
        told.append(post(target, one.SerializeToString(), headers=headers).body)
        told.append(call(Target(target.grpc, target.http, headers={"x-api-key": CANARY}), one.SerializeToString()).body)
        forged = spans_named([f"x{FORGED}", FORGED])
        told.append(post(target, forged).body)
        told.append(post(target, b"\xff" + CANARY.encode(), headers=headers).body)
        told.append(post(target, b"{}", kind=f"x/{CANARY}").body.replace(f"x/{CANARY}".encode(), b""))
        api = f"http://{places['api']}"
        for path, more in (
            (f"{PREFIX}/summary", {"authorization": f"Bearer {CANARY}"}),
            (f"{PREFIX}/summary", {"cookie": f"ai_usage_session={CANARY}"}),
            (f"{PREFIX}/logs/{quote(FORGED)}", {"authorization": f"Bearer {places['admin_token']}"}),
            (f"/{quote(FORGED)}", {"user-agent": "x\x1b[2J"}),
            (f"{PREFIX}/summary", {"authorization": f"Bearer {places['admin_token']}"}),
            (f"{PREFIX}/logs", {"authorization": f"Bearer {places['admin_token']}"}),
            (f"{PREFIX}/export.csv", {"authorization": f"Bearer {places['admin_token']}"}),
            ("/healthz?verbose=true", {"authorization": f"Bearer {places['admin_token']}"}),
            ("/metrics", {"authorization": f"Bearer {places['admin_token']}"}),
        ):
            try:
                with urllib.request.urlopen(urllib.request.Request(api + path, headers=more)) as answer:
                    told.append(answer.read())
                    headers_told += str(answer.headers)
            except urllib.error.HTTPError as error:
                told.append(error.read())
                headers_told += str(error.headers)

    assert not [answer for answer in told if CANARY.encode() in answer]
    assert CANARY not in headers_told
    assert "\x1b" not in headers_told
    assert "forged" not in headers_told
    log = (tmp_path / "log").read_bytes()
    assert CANARY.encode() not in log
    assert places["admin_token"].encode() in log, "made up for this run, on loopback: it is told once"
    for line in log.splitlines():
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", line)
        if line.startswith(b"{"):
            assert json.loads(line)["event"] != "forged"

    async def stored() -> list[str]:
        connection = await asyncpg.connect(database_url)
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = [
            f"{table[0]}: {row[0]}"
            for table in tables
            for row in await connection.fetch(f"SELECT to_jsonb(found)::text FROM {table[0]} AS found")
        ]
        assert await connection.fetchval("SELECT count(*) FROM ai_usage_logs") == 3
        await connection.close()
        return found

    assert not [row for row in asyncio.run(stored()) if CANARY in row]
