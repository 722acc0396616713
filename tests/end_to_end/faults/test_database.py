"""A database that is away, slow, read-only or shared: senders are asked to try again, and it recovers alone."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import grpc
import httpx2

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.server import Server
from tests.collector.waiting import free_port
from tests.end_to_end.faults.receiver import until
from tests.end_to_end.faults.sender import EXPORT, Load, Sender, ids_of, request
from tests.end_to_end.test_operations import metrics_of
from tests.invariants import check_metrics
from tests.proxy import DatabaseProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.end_to_end.faults.conftest import Account

PROTOBUF = {"content-type": "application/x-protobuf"}


def settings(database_url: str, **more: Any) -> Settings:
    free = Address("127.0.0.1", 0)
    return Settings(database_url=database_url, otlp_grpc_listen=free, otlp_http_listen=free, api_listen=free, **more)


def client(server: Server) -> httpx2.AsyncClient:
    """Return a client of the API; without TLS, whose certificates take a while to load."""
    headers = {"Authorization": f"Bearer {server.admin_token}"}
    return httpx2.AsyncClient(base_url=f"http://{server.addresses['api']}", headers=headers, verify=False)


async def problems_of(server: Server) -> dict[str, str]:
    """Return the problems that ``/readyz`` tells those with a token."""
    async with client(server) as api:
        response = await api.get("/readyz?verbose=true")
    assert response.status_code == (503 if response.json()["problems"] else 200)
    return dict(response.json()["problems"])


async def becomes(server: Server, *, ready: bool, within_s: float) -> dict[str, str]:
    """Wait until ``/readyz`` says so and return the problems it tells then."""
    async with asyncio.timeout(within_s):
        while bool(problems := await problems_of(server)) == ready:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.05)
    return problems


async def test_database_away_at_start_is_waited_for(database_url: str, account: Account) -> None:
    """C1: not ready, every request answered at once with "try again"; ready within 5 s of its return."""
    proxy = DatabaseProxy(database_url, port=free_port())
    server = Server(settings(proxy.url, database_wait="forever"))
    starting = asyncio.create_task(server.__aenter__())
    await until(lambda: len(server.addresses) == 3, "the listeners")
    assert await problems_of(server)
    sender = Sender(server.addresses["otlp_grpc"])
    sending = asyncio.create_task(sender.send(2))
    await until(lambda: sender.sent_again >= 5, "five refusals")
    assert set(sender.answers) == {grpc.StatusCode.UNAVAILABLE}
    assert min(sender.seconds) < 1
    async with client(server) as api:
        url = f"http://{server.addresses['otlp_http']}/v1/traces"
        refused = await api.post(url, content=request(), headers=PROTOBUF)
        livez = await api.get("/livez")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert livez.status_code == 200
    assert not starting.done()
    async with proxy:
        await becomes(server, ready=True, within_s=5)
        await sending
        await starting
        await account.settle(database_url, sender.acknowledged, receiver=server)
        await server.__aexit__(None, None, None)


async def test_database_away_under_load_is_come_back_to(database_url: str, account: Account) -> None:
    """C2: every connection is reset and nobody listens, then the way is open again."""
    port = free_port()
    proxy = DatabaseProxy(database_url, port=port)
    await proxy.__aenter__()
    async with Server(settings(proxy.url)) as server, Load(server.addresses["otlp_grpc"]) as load:
        await proxy.__aexit__()
        await load.told_to_retry()
        assert (await problems_of(server))["database"].endswith("does not answer")
        async with DatabaseProxy(database_url, port=port):
            await becomes(server, ready=True, within_s=5)
            await load.acknowledged_more(deadline_s=10)
            await load.finish()
            assert (await metrics_of(server))['ai_usage_write_failures_total{cause="away"}'] > 0
            await account.settle(database_url, load.acknowledged, receiver=server)


async def test_locked_table_is_answered_in_time_and_holds_no_more_than_it_may(
    database_url: str, connection: asyncpg.Connection[Any], account: Account
) -> None:
    """C3: 12 requests at once while nothing can be written: most are refused at once, none waits past its deadline."""
    async with Server(settings(database_url, max_concurrent_requests=4)) as server:
        senders = [Sender(server.addresses["otlp_grpc"], seed=number, pause_s=1) for number in range(12)]
        async with connection.transaction():
            await connection.execute("LOCK TABLE ai_usage_logs IN ACCESS EXCLUSIVE MODE")
            sending = [asyncio.create_task(sender.send(1)) for sender in senders]
            await until(lambda: any(max(sender.seconds, default=0) > 5 for sender in senders), "one that waited")
            await until(lambda: all(sender.sent_again for sender in senders), "a refusal of each")
        await asyncio.gather(*sending)
        codes = {code for sender in senders for code in sender.answers}
        assert codes == {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK}
        assert max(max(sender.seconds) for sender in senders) < 10
        assert min(min(sender.seconds) for sender in senders) < 1
        acknowledged = set().union(*(sender.acknowledged for sender in senders))
        await account.settle(database_url, acknowledged, receiver=server)


async def test_slow_way_to_the_database_costs_time_only(database_url: str, account: Account) -> None:
    """C3: 50 ms are added to everything that passes in either direction."""
    async with DatabaseProxy(database_url) as proxy, Server(settings(proxy.url)) as server:
        async with Load(server.addresses["otlp_grpc"], senders=8) as load:
            proxy.delay_s = 0.05
            await load.acknowledged_more()
            await load.acknowledged_more()
            await load.finish()
        assert load.sent_again == 0
        await account.settle(database_url, load.acknowledged, receiver=server)


async def test_one_batch_a_hundred_times_to_two_receivers_counts_once(database_url: str, account: Account) -> None:
    """C8: whoever comes second waits for the first and adds nothing; both acknowledge."""
    body = request(40)
    async with Server(settings(database_url)) as one, Server(settings(database_url)) as other:
        senders = [Sender(server.addresses["otlp_grpc"]) for server in (one, other) for _ in range(5)]

        async def deliver_ten(sender: Sender) -> None:
            for _ in range(10):
                await sender.deliver(body)

        await asyncio.gather(*map(deliver_ten, senders))
        found = [await metrics_of(server) for server in (one, other)]
        stored, duplicates = (
            sum(metrics[f'ai_usage_spans_total{{fate="{fate}"}}'] for metrics in found)
            for fate in ("stored", "duplicate")
        )
        assert (stored, duplicates) == (40, 99 * 40)
        await account.settle(database_url, set(ids_of(body)), receiver=one)
        check_metrics(found[1])


async def test_senders_that_hang_up_leave_whole_requests_and_usable_connections(
    database_url: str, connection: asyncpg.Connection[Any], account: Account
) -> None:
    """C27: requests are cancelled, or pass their deadline, at every moment of their way."""
    choose = random.Random(27)
    bodies = [request(10, seed=number) for number in range(80)]
    answered = set()
    async with Server(settings(database_url)) as server:
        async with grpc.aio.insecure_channel(str(server.addresses["otlp_grpc"])) as channel:
            export = channel.unary_unary(EXPORT)

            async def hang_up(number: int, body: bytes) -> None:
                with contextlib.suppress(grpc.aio.AioRpcError, TimeoutError):
                    if number % 2:
                        await export(body, timeout=choose.uniform(0.001, 0.1))
                    else:
                        async with asyncio.timeout(choose.uniform(0.001, 0.1)):
                            await export(body)
                    answered.update(ids_of(body))

            for start in range(0, 80, 20):
                await asyncio.gather(*(hang_up(number, bodies[number]) for number in range(start, start + 20)))
        sender = Sender(server.addresses["otlp_grpc"])
        await sender.send(2)
        await account.settle(database_url, answered | sender.acknowledged, receiver=server, exactly=False)
    stored = {row[0] for row in await connection.fetch("SELECT span_id FROM ai_usage_logs")}
    for body in bodies:
        assert sum(span_id in stored for _, span_id in ids_of(body)) in {0, 10}


@contextlib.asynccontextmanager
async def _read_only(connection: asyncpg.Connection[Any]) -> AsyncIterator[None]:
    """Let every new connection of the database read only, and end those there are."""
    database = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    yield
    await connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = off")


async def test_primary_that_became_read_only_is_told_and_left(
    database_url: str, connection: asyncpg.Connection[Any], account: Account
) -> None:
    """C41: not ready while it is read-only, without a busy loop; the connections of that time are let go."""
    async with Server(settings(database_url)) as server, Load(server.addresses["otlp_grpc"]) as load:
        async with _read_only(connection):
            await load.told_to_retry()
            await load.told_to_retry()
            problems = await becomes(server, ready=False, within_s=10)
        assert problems["database"].endswith("is read-only")
        await load.acknowledged_more(deadline_s=10)
        await load.finish()
        failures = (await metrics_of(server))['ai_usage_write_failures_total{cause="read_only"}']
        # One failed write at most for each refusal: nothing was tried over and over.
        assert 0 < failures <= load.sent_again
        await becomes(server, ready=True, within_s=10)
        await account.settle(database_url, load.acknowledged, receiver=server)
