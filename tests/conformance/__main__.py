"""Run the checklist against any OTLP receiver, by address.

Exit code 0: nothing failed; 1: a line failed; 2: called wrongly. Lines that need a state no client can bring about
(overload, a database away) are marked "–" unless --hooks names a class that arranges it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from tests.conformance.checklist import lines, run_all
from tests.conformance.target import Hooks, Target
from tests.conformance.verdict import Outcome


def main() -> int:
    """Run, print, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--grpc", required=True, metavar="HOST:PORT")
    parser.add_argument("--http", required=True, metavar="HOST:PORT")
    parser.add_argument("--header", action="append", default=[], metavar="NAME=VALUE", help="sent with every request")
    parser.add_argument(
        "--limit-bytes", type=int, default=64 * 1024 * 1024, help="the receiver's request limit (64 MiB)"
    )
    parser.add_argument("--keep-alive-requests", type=int, default=10_000, help="requests on one connection (10000)")
    parser.add_argument("--hooks", metavar="MODULE:CLASS", help="a subclass of tests.conformance.target.Hooks")
    parser.add_argument("--only", action="append", default=[], metavar="A1", help="run this line; repeat for more")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    options = parser.parse_args()
    for header in options.header:
        if "=" not in header:
            parser.error(f"--header {header!r}: write NAME=VALUE")
    if unknown := set(options.only) - {line.name for line in lines()}:
        parser.error(f"--only {', '.join(sorted(unknown))}: lines are A1 to A40")
    target = Target(
        options.grpc,
        options.http,
        dict(header.split("=", 1) for header in options.header),
        options.limit_bytes,
        options.keep_alive_requests,
        hooks=_hooks(parser, options.hooks),
    )
    verdicts = []
    for verdict in run_all(target, options.only):
        verdicts.append(verdict)
        if not options.json:
            print(
                f"{verdict.outcome.value} {verdict.line:<4}{verdict.title}"
                + (f": {verdict.reason}" if verdict.reason else ""),
                flush=True,
            )
    count = {outcome: sum(v.outcome is outcome for v in verdicts) for outcome in Outcome}
    if options.json:
        rows = [
            {"line": v.line, "title": v.title, "outcome": v.outcome.name.lower(), "reason": v.reason} for v in verdicts
        ]
        print(json.dumps({**{o.name.lower(): n for o, n in count.items()}, "lines": rows}, indent=1))
    else:
        print(
            f"{count[Outcome.PASSED]}/{len(verdicts)} passed, "
            f"{count[Outcome.FAILED]} failed, {count[Outcome.NOT_RUN]} not run"
        )
    return 1 if count[Outcome.FAILED] else 0


def _hooks(parser: argparse.ArgumentParser, name: str | None) -> Hooks:
    if name is None:
        return Hooks()
    module, _, cls = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), cls)()
    except (ImportError, AttributeError, ValueError) as error:
        parser.error(f"--hooks {name}: {error}")
    if not isinstance(made, Hooks):
        parser.error(f"--hooks {name}: is no subclass of tests.conformance.target.Hooks")
    return made


if __name__ == "__main__":
    sys.exit(main())
