"""A37 and A40: health, and what is open by default."""

from __future__ import annotations

import ipaddress
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import grpc

from tests.conformance.spans import body_of, span
from tests.conformance.verdict import NotRun, expect, line
from tests.conformance.wire import call, post

if TYPE_CHECKING:
    from tests.conformance.target import Target

_HEALTH = "/grpc.health.v1.Health/Check"
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


@line("A37", "health: grpc.health.v1, alive without a database, ready only with it and not while draining")
def a37(target: Target) -> str | None:
    """Ask for health in every state that can be arranged."""
    reply = call(target, b"", method=_HEALTH)
    expect(reply.code is grpc.StatusCode.OK, f"grpc.health.v1: {reply.code.name}")
    expect(reply.body == _SERVING, f"grpc.health.v1 answers {reply.body!r}, not SERVING")
    health = target.hooks.health()
    if health is None:
        raise NotRun("health")
    expect(_status(health.live) == 200, f"{health.live} is not 200")
    expect(_status(health.ready) == 200, f"{health.ready} is not 200")
    for name, state in (("database_away", target.hooks.database_away()), ("draining", target.hooks.draining())):
        if state is None:
            raise NotRun(name)
        with state as (endpoint, at):
            expect(_status(at.live) == 200, f"{name}: not alive")
            expect(_status(at.ready) == 503, f"{name}: ready")
            answer = call(target.at(endpoint), b"", method=_HEALTH)
            expect(answer.body == _NOT_SERVING, f"{name}: grpc.health.v1 {answer.code.name} {answer.body!r}")
    return None


@line("A40", "without configuration only this machine can connect; no CORS")
def a40(target: Target) -> str | None:
    """Ask as a page of another origin would, then look at the addresses."""
    origin = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for reply in (post(target, b"", method="OPTIONS", headers=origin), post(target, body_of(span()), headers=origin)):
        found = [name for name in reply.headers if name.startswith("access-control-")]
        expect(not found, f"another origin is let in: {', '.join(found)}")
    hosts = target.hooks.default_listen()
    if hosts is None:
        return "CORS only: no hook for the default addresses"
    expect(hosts, "no default address")
    for host in hosts:
        expect(host == "localhost" or ipaddress.ip_address(host).is_loopback, f"listens on {host} by default")
    return None
