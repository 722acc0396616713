"""Who pays: nested, inherited, carried through tasks and baggage."""

from __future__ import annotations

import asyncio

from opentelemetry import baggage, context
from opentelemetry.propagate import extract, inject

from ai_usage import semconv
from ai_usage.attribution import current_attributes, usage_context


def test_an_inner_context_adds_to_the_outer_one_and_wins() -> None:
    with usage_context(user_id=7, service_name="a", metadata={"plan": "pro"}):
        with usage_context(service_name="b", service_action="run", metadata={"n": 1}):
            assert current_attributes() == {
                semconv.USER_ID: "7",
                semconv.SERVICE_NAME: "b",
                semconv.SERVICE_ACTION: "run",
                "ai_usage.metadata.plan": "pro",
                "ai_usage.metadata.n": 1,
            }
        assert current_attributes()[semconv.SERVICE_NAME] == "a"
    assert current_attributes() == {}


def test_another_user_does_not_inherit_the_email_of_the_outer_one() -> None:
    with usage_context(user_id="1", user_email="a@x"), usage_context(user_id="2"):
        assert semconv.USER_EMAIL not in current_attributes()
    with usage_context(user_id="1", user_email="a@x"), usage_context(service_name="s"):
        assert current_attributes()[semconv.USER_EMAIL] == "a@x"


def test_as_a_decorator_every_call_runs_inside() -> None:
    @usage_context(user_id="9")
    def work(depth: int) -> object:
        return work(depth - 1) if depth else current_attributes()[semconv.USER_ID]

    assert work(3) == "9"
    assert work.__name__ == "work"
    assert current_attributes() == {}


async def test_overlapping_tasks_keep_their_own_owner() -> None:
    both_in = asyncio.Barrier(2)

    @usage_context(service_name="shared")
    async def work(user: str) -> object:
        async with usage_context(user_id=user):
            await both_in.wait()
            return current_attributes()[semconv.USER_ID], current_attributes()[semconv.SERVICE_NAME]

    assert await asyncio.gather(work("a"), work("b")) == [("a", "shared"), ("b", "shared")]


def test_across_services_goes_the_owner_but_no_email_and_no_metadata() -> None:
    headers: dict[str, str] = {}
    with usage_context(user_id="7", user_email="a@x", service_name="s", service_action="act", metadata={"k": "v"}):
        inject(headers)
    received = extract(headers)
    assert baggage.get_all(received) == {
        semconv.USER_ID: "7",
        semconv.SERVICE_NAME: "s",
        semconv.SERVICE_ACTION: "act",
    }
    token = context.attach(received)
    try:
        assert current_attributes()[semconv.USER_ID] == "7"
        with usage_context(user_id="8"):
            assert current_attributes()[semconv.USER_ID] == "8"
    finally:
        context.detach(token)
