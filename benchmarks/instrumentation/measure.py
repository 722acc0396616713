"""Run the workers: build their environments, time them in turn, count their instructions, import them."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.instrumentation.worker import CHUNKS, KINDS, MANY_CHUNKS, VARIANTS
from tests.vectors.environments import SDKS, build, build_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "KINDS",
    "VARIANTS",
    "build_environments",
    "count_instructions",
    "measure_imports",
    "measure_times",
    "median_of",
]

WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(__file__).parents[2]
DIALECTS = {"official": "otel", "openllmetry": "openllmetry", "openinference": "openinference"}
SAME_EVERYWHERE = ("openai", "anthropic", "google-genai", "httpx2", "pydantic", "pydantic-core", "opentelemetry-sdk")
# A call of these makes many chunks, fewer of them are enough.
SLOW = {"long_stream": 5}

Pythons = dict[str, str]
Added = dict[str, dict[str, float]]
"""Variant → kind → what a call costs more than without instrumentation."""

progress = Progress(
    TextColumn("{task.description:24}"),
    BarColumn(bar_width=36),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    console=Console(stderr=True),
)


def build_environments(variants: list[str]) -> Pythons:
    """Return the interpreter of each variant; those without a peer's package share one."""
    own = (*SDKS, "-e", str(ROOT / "instrumentation"))
    pythons = {}
    with progress:
        for name in progress.track(variants, description="Building environments"):
            folder = build(DIALECTS[name]) if name in DIALECTS else build_of("benchmark", own)
            pythons[name] = str(folder / "bin" / "python")
    versions = {python: _versions(python) for python in set(pythons.values())}
    if len(set(versions.values())) > 1:
        raise SystemExit(f"environments differ in what is measured: {versions}; remove them to build them anew")
    print(", ".join(next(iter(versions.values()))), file=sys.stderr)
    return pythons


def _versions(python: str) -> tuple[str, ...]:
    program = f"from importlib.metadata import version\nfor n in {SAME_EVERYWHERE}: print(n, version(n))"
    return tuple(_run(python, "-c", program).splitlines())


def measure_times(pythons: Pythons, processes: int, rounds: int, calls: int) -> list[Added]:
    """Return added microseconds of CPU a call for each process a variant had: the median of its rounds."""
    with progress:
        task = progress.add_task("Timing calls", total=processes * rounds)
        return [_measure_times(pythons, rounds, calls, lambda: progress.advance(task)) for _ in range(processes)]


def _measure_times(pythons: Pythons, rounds: int, calls: int, done: Callable[[], None]) -> Added:
    workers = {
        name: subprocess.Popen(
            [python, WORKER, name, "times"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        for name, python in pythons.items()
    }
    found: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in KINDS} for name in pythons}
    for number in range(-1, rounds):
        for kind in KINDS:
            for name, worker in workers.items():
                us = _ask(worker, name, kind, max(2, calls // SLOW.get(kind, 1)))
                if number >= 0:  # caches fill before
                    found[name][kind].append(us)
        if number >= 0:
            done()
    for worker in workers.values():
        worker.communicate()
    return {name: {kind: statistics.median(us) for kind, us in kinds.items()} for name, kinds in found.items()}


def median_of(several: list[Added]) -> Added:
    """Return the median of each cost."""
    return {
        name: {kind: statistics.median(added[name][kind] for added in several) for kind in kinds}
        for name, kinds in several[0].items()
    }


def _ask(worker: subprocess.Popen[str], name: str, kind: str, times: int) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{kind} {times}\n")
    worker.stdin.flush()
    answer = json.loads(worker.stdout.readline())
    # Everybody makes one span a call, and ours alone counts what is not sampled: nobody is fast by doing nothing.
    expected = 0 if name == "none" or (kind == "unsampled" and name != "ours") else 1
    if answer["spans"] != expected:
        raise SystemExit(f"{name} made {answer['spans']} spans a call of kind {kind}")
    us: float = answer["us"]
    return us


def count_instructions(pythons: Pythons, calls: int) -> Added:
    """Return added instructions a call, counted by callgrind."""
    if shutil.which("valgrind") is None:
        _install_valgrind()
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress:
        counts = list(
            progress.track(
                pool.map(lambda name: _count(name, pythons[name], calls), pythons),
                total=len(pythons),
                description="Counting instructions",
            )
        )
    found = dict(zip(pythons, counts, strict=True))
    return {name: {kind: kinds[kind] - found["none"][kind] for kind in KINDS} for name, kinds in found.items()}


def _count(name: str, python: str, calls: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        _run(
            "valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-before=getppid",
            f"--callgrind-out-file={out}", f"--vgdb-prefix={folder}/vgdb",
            python, str(WORKER), name, "instructions", str(calls),
            VGDB_PREFIX=f"{folder}/vgdb",
        )  # fmt: skip
        # A kind dumps twice: what came before its calls, then its calls.
        dumps = [Path(f"{out}.{2 * number + 2}") for number in range(len(KINDS))]
        return {kind: _total(dump) / calls for kind, dump in zip(KINDS, dumps, strict=True)}


def _total(dump: Path) -> int:
    found = re.search(r"^totals: (\d+)$", dump.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{dump} holds no count")
    return int(found[1])


def _install_valgrind() -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise SystemExit("valgrind is missing: install it (Debian: apt-get install valgrind)")
    print("Installing valgrind", file=sys.stderr)
    _run(apt, "-qq", "install", "-y", "valgrind")


def measure_imports(pythons: Pythons, times: int) -> Mapping[str, dict[str, float]]:
    """Return the milliseconds and MiB that importing and instrumenting three SDKs takes, medians."""
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
    with progress:
        # The first one of each writes bytecode.
        for number in progress.track(range(-1, times), description="Importing"):
            for name, python in pythons.items():
                answer: dict[str, Any] = json.loads(_run(python, str(WORKER), name, "import"))
                if number >= 0:
                    answers[name].append(answer)
    return {
        name: {key: statistics.median(answer[key] for answer in several) for key in several[0]}
        for name, several in answers.items()
    }


def per_chunk(added: dict[str, float]) -> float:
    """Return what one more chunk of a stream costs."""
    return (added["long_stream"] - added["stream"]) / (MANY_CHUNKS - CHUNKS)


def _environment(**more: str) -> dict[str, str]:
    # One order of sets and dicts for everybody; peers' own exporters and content stay as they are by default.
    return {**os.environ, "PYTHONHASHSEED": "0", **more}


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, env=_environment(**environment), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
