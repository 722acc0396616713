"""L7 to L10: processes that fork, are served by gunicorn, run on gevent or end, with the receiver up or not."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.collector.sink import TraceSink

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
# No SDK: what is tested here is the way out, and that is one for all.
PRELUDE = """
import os, sys
import ai_usage
if os.environ.get("BY_CODE"):
    ai_usage.instrument(sdks=(), endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])

def call(user):
    assert ai_usage.log_ai_usage(user, provider="openai", model="gpt-4o", input_tokens=1, output_tokens=1)
"""


@pytest.fixture
def sink() -> Iterator[TraceSink]:
    running = TraceSink()
    yield running
    running.stop()


@pytest.fixture
def hole() -> Iterator[str]:
    """Give the address of a receiver that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield "{}:{}".format(*listener.getsockname())


@pytest.fixture
def refusing() -> str:
    """Give an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return "{}:{}".format(*listener.getsockname())


def environment(address: str, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_"))}
    return {
        **inherited,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "BY_CODE": "1",
        # No SDK is called: without them everything starts at once.
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(
            f"ai_usage_{sdk}" for sdk in ("openai", "anthropic", "google_genai", "litellm")
        ),
        **more,
    }


def users(sink: TraceSink) -> Counter[str]:
    """Return whose calls arrived, and how often."""
    return Counter(
        attribute.value.string_value
        for trace in sink.traces()
        for span in trace
        for attribute in span.attributes
        if attribute.key == "user.id"
    )


def wait_for(sink: TraceSink, expected: set[str]) -> None:
    deadline = time.monotonic() + 60
    while users(sink).keys() < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert users(sink) == dict.fromkeys(expected, 1)


def run(script: str, address: str, *, auto: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PRELUDE + script]
    if auto:
        command.insert(0, str(BIN / "opentelemetry-instrument"))
        more["BY_CODE"] = ""
    return subprocess.run(command, env=environment(address, **more), capture_output=True, text=True, timeout=100)


ENDING = """
import time
for number in range(int(os.environ["CALLS"])):
    call(str(number))
print(time.time(), flush=True)
raise SystemExit(3)
"""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("auto", [False, True], ids=["by code", "auto"])
def test_exit_takes_at_most_5_s_with_the_receiver_unreachable_and_the_exit_code_is_the_apps(
    auto: bool, protocol: str, hole: str, refusing: str
) -> None:
    def exit_s(address: str, calls: int) -> float:
        done = run(ENDING, address, auto=auto, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, CALLS=str(calls))
        took_s = time.time() - float(done.stdout)
        assert done.returncode == 3, done.stderr[-2000:]
        return took_s

    # How long Python itself takes to end depends on the machine and on what else it does, and gRPC ends in it.
    by_itself_s = exit_s(refusing, 0)
    for address in (hole, refusing):
        assert exit_s(address, 600) < 5 + 3 * by_itself_s


@pytest.mark.parametrize("auto", [False, True], ids=["by code", "auto"])
def test_what_is_left_at_exit_is_delivered(auto: bool, sink: TraceSink) -> None:
    assert run("call('last'); raise SystemExit(3)", sink.address, auto=auto).returncode == 3
    wait_for(sink, {"last"})


FORK = """
from opentelemetry import trace
call("parent")
trace.get_tracer_provider().force_flush()
child = os.fork()
call("child" if child == 0 else "parent again")
if child == 0:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
MULTIPROCESSING = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

if __name__ == "__main__":
    call("parent")
    context = multiprocessing.get_context(os.environ["METHOD"])
    child = context.Process(target=call, args=("child",))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(call, "pool").result(60)
"""


def test_a_forked_child_delivers_its_own_calls_and_none_twice(sink: TraceSink) -> None:
    done = run(FORK, sink.address)
    assert done.returncode == 0, done.stderr[-2000:]
    wait_for(sink, {"parent", "child", "parent again"})


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver(method: str, sink: TraceSink, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(PRELUDE + MULTIPROCESSING)
    done = subprocess.run(
        [sys.executable, str(script)], env=environment(sink.address, METHOD=method),
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    wait_for(sink, {"parent", "child", "pool"})


WSGI = """
def app(environ, start_response):
    call(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


@contextlib.contextmanager
def gunicorn(
    address: str, folder: Path, *options: str, auto: bool = False
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve ``WSGI`` until the end of the block, then end it as an operator does."""
    (folder / "served.py").write_text(PRELUDE + WSGI)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bound = "{}:{}".format(*listener.getsockname())
    command = [str(BIN / "gunicorn"), "-b", bound, "-w", "2", "--no-control-socket", *options, "served:app"]
    if auto:
        command.insert(0, str(BIN / "opentelemetry-instrument"))
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        command, cwd=folder, env=environment(address, BY_CODE="" if auto else "1"), stdout=log, stderr=log
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(bound.rpartition(":")[2]))):
                break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
            time.sleep(0.05)
        yield f"http://{bound}", process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (folder / "log").read_text()[-3000:]
    finally:
        process.kill()
        process.wait()
        log.close()


@pytest.mark.parametrize(
    ("options", "auto"),
    [
        (("-k", "sync", "--preload"), False),
        (("-k", "gthread", "--threads", "2", "--preload"), False),
        (("-k", "sync"), False),
        (("-k", "gevent"), False),
        (("-k", "sync", "--preload", "--max-requests", "5"), False),
        (("-k", "sync", "--preload"), True),
    ],
    ids=["sync preloaded", "gthread preloaded", "sync", "gevent", "recycled every 5 requests", "auto, preloaded"],
)
def test_every_gunicorn_worker_delivers_each_call_once_and_sigterm_loses_none(
    options: tuple[str, ...], auto: bool, sink: TraceSink, tmp_path: Path
) -> None:
    paths = {f"/{number}" for number in range(20)}
    with gunicorn(sink.address, tmp_path, *options, auto=auto) as (url, _):
        for path in paths:
            urllib.request.urlopen(url + path, timeout=30).read()
    wait_for(sink, paths)


GEVENT = """
import gevent, time
stop, gaps = False, [0.0]

def tick():
    last = time.monotonic()
    while not stop:
        gevent.sleep(0.01)
        now = time.monotonic()
        gaps.append(now - last)
        last = now

ticker = gevent.spawn(tick)
def work(number):
    call(str(number))
    gevent.sleep(0)
gevent.joinall([gevent.spawn(work, number) for number in range(1000)], raise_error=True)
from opentelemetry import trace
gaps[:] = [0.0]
if os.environ["FLUSH"]:
    assert trace.get_tracer_provider().force_flush()
else:
    gevent.sleep(2)
stop = True
ticker.join()
print(max(gaps))
"""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_under_gevent_no_greenlet_waits_for_a_receiver_that_never_answers(protocol: str, hole: str) -> None:
    script = "from gevent import monkey; monkey.patch_all()\n" + PRELUDE + GEVENT
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment(hole, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, FLUSH="", OTEL_BSP_SCHEDULE_DELAY="100"),
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    # A send that no greenlet can interrupt takes its whole timeout of 10 s.
    assert float(done.stdout) < 5, "everything stood still while a batch was sent"


def test_under_gevent_every_call_is_delivered(sink: TraceSink) -> None:
    script = "from gevent import monkey; monkey.patch_all()\n" + PRELUDE + GEVENT
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], env=environment(sink.address, FLUSH="1"),
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    wait_for(sink, {str(number) for number in range(1000)})
