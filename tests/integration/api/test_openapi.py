"""The description of the API: complete, its examples true, and the application keeps to it whatever is asked."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx2
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import ignored_auth, positive_data_acceptance

from ai_usage_exporter.api.app import create_app
from ai_usage_exporter.api.auth import AdminToken
from ai_usage_exporter.api.sessions import Sessions
from ai_usage_exporter.config import Address
from ai_usage_exporter.listen import HttpListener
from ai_usage_exporter.storage.reader import UsageReader
from tests.factories import make_call
from tests.integration.api.conftest import ADMIN_TOKEN
from tests.integration.api.reference import write_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = 25
"""For each route and kind of data: a few seconds a route."""

BEYOND_SCHEMA = {"from", "to", "days", "tz", "interval", "group_by", "cursor"}
"""Parameters with rules no schema can say: days that exist, an end after its start, zones, no dimension twice."""

# Nothing here asks the database for anything.
DOCUMENT: dict[str, Any] = create_app(UsageReader(None), AdminToken(ADMIN_TOKEN), Sessions(None)).openapi()  # type: ignore[arg-type]
OPERATIONS = {
    operation["operationId"]: (path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for operation in methods.values()
}
SCHEMAS = DOCUMENT["components"]["schemas"]

each_operation = pytest.mark.parametrize("name", OPERATIONS)


def check_example(example: Any, schema: dict[str, Any]) -> None:
    jsonschema.validate(
        example,
        {"components": DOCUMENT["components"], **schema},
        cls=jsonschema.Draft202012Validator,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


@each_operation
def test_every_route_and_parameter_is_described(name: str) -> None:
    _, operation = OPERATIONS[name]

    assert operation["summary"]
    assert operation["description"]
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        assert parameter.get("description") or schema.get("description"), parameter["name"]
        assert is_illustrated(schema), f"{parameter['name']} has neither example, default nor choice"
        for example in schema.get("examples", ()):
            check_example(example, schema)


def is_illustrated(schema: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return is_illustrated(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    return (
        bool({"examples", "default", "enum", "const", "properties", "additionalProperties"} & schema.keys())
        or any(is_illustrated(choice) for choice in schema.get("anyOf", ()))
        or ("items" in schema and is_illustrated(schema["items"]))
        or schema.get("type") == "boolean"
        or any(choice.get("type") == "boolean" for choice in schema.get("anyOf", ()))
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_has_an_example_that_is_valid(name: str) -> None:
    for field, schema in SCHEMAS[name].get("properties", {}).items():
        assert is_illustrated(schema), f"{name}.{field} has no example"
        for example in schema.get("examples", ()):
            check_example(example, schema)


@each_operation
def test_every_route_that_needs_a_token_says_so(name: str) -> None:
    path, operation = OPERATIONS[name]

    assert bool(operation.get("security")) == ("401" in operation["responses"])
    assert path.startswith("/api/") <= bool(operation.get("security"))


@pytest.fixture(scope="module")
def server_url(postgres_server_url: str, template_database: str) -> Iterator[str]:
    """Give the URL of the API on a real socket, in a thread of its own, with some calls behind it."""
    name = f"{template_database}_openapi"
    started, stop = threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        admin = await asyncpg.connect(postgres_server_url)
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template_database}")
        async with asyncpg.create_pool(postgres_server_url, database=name) as pool:
            async with pool.acquire() as connection:
                now = datetime.now(UTC)
                await write_calls(connection, [make_call(created_at=now - timedelta(hours=n)) for n in range(50)])
            app = create_app(UsageReader(pool), AdminToken(ADMIN_TOKEN), Sessions(pool))
            listener = HttpListener(app, Address("127.0.0.1", 0), "AI_USAGE_API_LISTEN", grace_s=1)
            await listener.start()
            found.update(url=f"http://{listener.address}", loop=asyncio.get_running_loop())
            started.set()
            await stop.wait()
            await listener.stop()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60)
    yield found["url"]
    found["loop"].call_soon_threadsafe(stop.set)
    thread.join(60)


@each_operation
def test_every_route_that_says_so_refuses_whoever_has_no_token(name: str, server_url: str) -> None:
    path, operation = OPERATIONS[name]
    answer = httpx2.get(server_url + path.replace("{id}", "0193a1b2-c3d4-8e5f-8a6b-7c8d9e0f1a2b"))

    assert (answer.status_code == 401) == bool(operation.get("security"))


@each_operation
def test_the_application_keeps_to_its_description_whatever_is_asked(name: str, server_url: str) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    path, _ = OPERATIONS[name]
    operation = schema[path]["GET"]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def one(case: schemathesis.Case) -> None:
        answer = case.call(base_url=server_url, headers={"authorization": f"Bearer {ADMIN_TOKEN}"})
        # The first would send our token too: the test above asks without one. The second takes for right whatever
        # the schema cannot forbid: those parameters are named here.
        case.validate_response(answer, excluded_checks=[ignored_auth, positive_data_acceptance])
        if answer.status_code == 422 and case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
            assert {error["field"] for error in answer.json()["errors"]} <= BEYOND_SCHEMA

    one()
