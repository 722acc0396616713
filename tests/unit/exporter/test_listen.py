"""Listeners take their port before anything starts and say clearly when they cannot."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from ai_usage_exporter.config import Address
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.listen import HttpListener, bind


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def test_a_taken_port_names_the_setting_and_the_fix() -> None:
    with bind(Address("127.0.0.1", 0), "AI_USAGE_API_LISTEN") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PermanentError, match=rf"AI_USAGE_API_LISTEN: 127.0.0.1:{port} is in use.*port 0"):
            bind(Address("127.0.0.1", port), "AI_USAGE_API_LISTEN")


def test_an_address_of_another_machine_names_the_setting() -> None:
    with pytest.raises(PermanentError, match=r"AI_USAGE_API_LISTEN: cannot listen on 192.0.2.1:0"):
        bind(Address("192.0.2.1", 0), "AI_USAGE_API_LISTEN")


async def test_a_listener_serves_on_the_port_it_reports_until_it_is_stopped() -> None:
    listener = HttpListener(hello, Address("127.0.0.1", 0), "AI_USAGE_API_LISTEN", grace_s=1)
    await listener.start()
    async with httpx2.AsyncClient() as client:
        assert (await client.get(f"http://{listener.address}/x")).text == "/x"
    await listener.stop()
    with pytest.raises(OSError, match=r"refused|connect"):
        bind_probe(listener.address)


def bind_probe(address: Address) -> None:
    import socket

    socket.create_connection(address, timeout=2).close()
