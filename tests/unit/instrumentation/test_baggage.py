"""What may leave the process in W3C baggage: chosen by name, never an email by default, never to a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry import baggage, context
from opentelemetry.propagate import extract, inject

import ai_usage
from ai_usage import _baggage, semconv
from ai_usage._invocation import Invocation, Telemetry
from ai_usage.attribution import current_attributes, usage_context

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYTHING = {"user_id": "7", "user_email": "a@x", "service_name": "s", "service_action": "act"}


@pytest.fixture(autouse=True)
def fresh_choice() -> Iterator[None]:
    _baggage.send(None)
    yield
    _baggage.send(None)


def leaving(**said: str) -> set[str]:
    """Return the names of what leaves with a request made inside."""
    headers: dict[str, str] = {}
    with usage_context(**{**EVERYTHING, **said}):
        inject(headers)
    return {name for name, key in _baggage.NAMES.items() if key in baggage.get_all(extract(headers))}


def test_by_default_id_service_and_action_leave_and_no_email() -> None:
    assert leaving() == {"user_id", "service_name", "service_action"}


def test_an_id_that_is_an_email_is_treated_as_one() -> None:
    assert leaving(user_id="ana@example.com") == {"service_name", "service_action"}
    _baggage.send(["user_id", "user_email"])
    assert leaving(user_id="ana@example.com") == {"user_id", "user_email"}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("none", set()),
        ("", set()),
        ("service_name", {"service_name"}),
        (" user_id , user_email", {"user_id", "user_email"}),
    ],
)
def test_the_setting_chooses(setting: str, expected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_baggage.BAGGAGE_SETTING, setting)
    assert leaving() == expected


def test_the_argument_chooses_and_refuses_unknown_names() -> None:
    ai_usage.instrument(sdks=(), baggage=("service_name",))
    assert leaving() == {"service_name"}
    ai_usage.instrument(sdks=())
    assert leaving() == {"service_name"}, "instrumenting again took the choice back"
    ai_usage.instrument(sdks=(), baggage=())
    assert leaving() == set()
    with pytest.raises(ValueError, match=r"unknown baggage 'email': choose from user_id, user_email"):
        ai_usage.instrument(sdks=(), baggage=("email",))


def test_a_mistyped_setting_sends_nothing_by_that_name_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(_baggage.BAGGAGE_SETTING, "userid,service_name")
    assert leaving() == {"service_name"}
    assert "userid is none of user_id, user_email, service_name, service_action" in caplog.text


def test_a_user_that_may_not_leave_takes_the_one_received_out() -> None:
    token = context.attach(baggage.set_baggage(semconv.USER_ID, "7"))
    try:
        headers: dict[str, str] = {}
        with usage_context(user_id="ana@example.com"):
            inject(headers)
            assert current_attributes()[semconv.USER_ID] == "ana@example.com"
        assert headers == {}
    finally:
        context.detach(token)


def test_what_came_in_pays_also_inside_a_context_that_says_less() -> None:
    token = context.attach(baggage.set_baggage(semconv.USER_ID, "7"))
    try:
        with usage_context(service_name="s"):
            assert current_attributes() == {semconv.USER_ID: "7", semconv.SERVICE_NAME: "s"}
    finally:
        context.detach(token)


def test_a_provider_never_sees_who_pays_and_still_the_apps_own_baggage() -> None:
    own = context.attach(baggage.set_baggage("tenant", "blue"))
    try:
        with usage_context(**EVERYTHING):
            call = Invocation(Telemetry("ai_usage.test", "0"), "chat", "openai", "gpt-4o")
            token = call.activate()
            try:
                assert baggage.get_all() == {"tenant": "blue"}
            finally:
                call.deactivate(token)
            assert baggage.get_baggage(semconv.USER_ID) == "7"
    finally:
        context.detach(own)
