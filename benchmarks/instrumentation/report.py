"""Say what was measured: a table for people, one JSON line for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.instrumentation.measure import median_of, per_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.instrumentation.measure import Added

# Those that have a target; google-genai too, the rest is shown.
COMPARED = ("sync", "async", "stream", "embeddings", "google")
COLUMNS = (*COMPARED, "unsampled")
IMPORT_COLUMNS = {"ms": "import ms", "mib": "import MiB", "first_call_ms": "first call ms", "first_call_mib": "MiB"}
NOT_PEERS = frozenset({"none", "floor", "ours"})


@dataclass(frozen=True)
class Result:
    """Hold what was measured."""

    times_of_processes: list[Added]
    instructions: Added
    imports: Mapping[str, dict[str, float]]

    @cached_property
    def times(self) -> Added:
        """Return the median of the processes."""
        return median_of(self.times_of_processes)

    @cached_property
    def time_ratio_ranges(self) -> dict[str, list[float]]:
        """Return the least and the greatest time ratio that one round of processes alone would have shown."""
        each = [_ratios(times) for times in self.times_of_processes]
        return {kind: [min(ratios[kind] for ratios in each), max(ratios[kind] for ratios in each)] for kind in COMPARED}

    @cached_property
    def time_ratios(self) -> dict[str, float]:
        """Return how often a call of ours costs what the floor costs, in CPU time."""
        return _ratios(self.times)

    @cached_property
    def instruction_ratios(self) -> dict[str, float]:
        """Return the same in instructions."""
        return _ratios(self.instructions)

    @cached_property
    def is_fastest(self) -> bool:
        """Tell whether every peer costs more: by time and instructions of every kind, to import, in memory."""
        peers = [name for name in self.times if name not in NOT_PEERS]
        added = [(costs, kind) for costs in (self.times, self.instructions) for kind in COMPARED]
        added += [(self.imports, key) for key in ("ms", "mib")]
        return all(costs["ours"][key] < costs[peer][key] for costs, key in added for peer in peers)


def _ratios(added: Added) -> dict[str, float]:
    return {kind: round(added["ours"][kind] / added["floor"][kind], 3) for kind in COMPARED}


def show(result: Result) -> None:
    """Print everything."""
    console = Console(width=max(Console().width, 110))
    times = [name for name in result.times if name != "none"]
    _print(console, "Added µs of CPU a call", result.times, times, "{:,.1f}".format)
    _print(console, "Added thousands of instructions a call", result.instructions, times, lambda n: f"{n / 1000:,.1f}")
    table = Table(title="Import and instrument three SDKs; first call", title_justify="left")
    for column in ("", *IMPORT_COLUMNS.values()):
        table.add_column(column, justify="left" if not column else "right")
    for name, costs in result.imports.items():
        table.add_row(name, *(f"{costs[key]:,.1f}" for key in IMPORT_COLUMNS), style=_style(name))
    console.print(table)
    line = {
        "ratio_to_floor": result.time_ratios,
        "ratio_range": result.time_ratio_ranges,
        "instructions_to_floor": result.instruction_ratios,
        "fastest": result.is_fastest,
        "added_us": _rounded(result.times, 1),
        "added_instructions": _rounded(result.instructions, 0),
        "chunk_instructions": {name: round(per_chunk(costs)) for name, costs in result.instructions.items()},
        "import": _rounded(result.imports, 1),
    }
    print(json.dumps(line))


def _print(console: Console, title: str, added: Added, names: list[str], text: Callable[[float], str]) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("", *COLUMNS, "a chunk"):
        table.add_column(column, justify="left" if not column else "right")
    for name in names:
        values = [text(added[name][kind]) for kind in COLUMNS]
        table.add_row(name, *values, text(per_chunk(added[name])), style=_style(name))
    ratios = _ratios(added)
    table.add_section()
    table.add_row("ours : floor", *(f"× {ratios[kind]:.2f}" if kind in ratios else "" for kind in COLUMNS), "")
    console.print(table)


def _style(name: str) -> str:
    return "bold" if name == "ours" else "dim" if name in NOT_PEERS else ""


def _rounded(costs: Mapping[str, Mapping[str, float]], digits: int) -> dict[str, dict[str, float]]:
    return {name: {key: round(value, digits) for key, value in values.items()} for name, values in costs.items()}
