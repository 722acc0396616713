"""Measure what instrumentation costs: ``python -m benchmarks.instrumentation`` (ends with one JSON line).

Six variants make the same calls, each in processes and an environment of its own: no instrumentation, a span written
by hand (the floor), this package, and the official, OpenLLMetry and OpenInference packages. Times are CPU times: every
call is timed beside one of the same process that is not instrumented, and all variants take turns. Instructions are
counted by valgrind and do not depend on what else the machine does. Exits with 0 exactly when both are at most 1.3
times the floor, and they, import and memory below every other package.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.instrumentation import measure, report

GOOD_RATIO = 1.3


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instrumentation", description=__doc__)
    parser.add_argument("--processes", type=int, default=5, help="processes each variant is timed in (%(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="rounds of times a process (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=100, help="pairs of calls a round (default: %(default)s)")
    parser.add_argument("--counted", type=int, default=5, help="calls whose instructions are counted")
    parser.add_argument("--imports", type=int, default=5, help="processes that import each variant")
    parser.add_argument("--variants", nargs="+", default=list(measure.VARIANTS), help="what to measure")
    options = parser.parse_args()
    variants = [name for name in measure.VARIANTS if name in {"none", "floor", "ours", *options.variants}]
    pythons = measure.build_environments(variants)
    instructions = measure.count_instructions(pythons, options.counted)
    imports = measure.measure_imports(pythons, options.imports)
    times = measure.measure_times(pythons, options.processes, options.rounds, options.calls)
    result = report.Result(times, instructions, imports)
    report.show(result)
    good = all(
        ratio <= GOOD_RATIO for ratios in (result.time_ratios, result.instruction_ratios) for ratio in ratios.values()
    )
    sys.exit(0 if good and result.is_fastest else 1)


if __name__ == "__main__":
    main()
