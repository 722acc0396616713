"""Run every vector and print a table: ``python -m tests.vectors [DIALECT…]``."""

from __future__ import annotations

import sys

from tests.vectors.check import check, vectors


def main(dialects: list[str]) -> int:
    """Return 1 when a vector is read wrongly."""
    wrong = 0
    table: dict[str, list[str]] = {}
    for path in vectors():
        if dialects and path.parent.name not in dialects:
            continue
        faults = check(path)
        wrong += bool(faults)
        table.setdefault(path.parent.name, []).append(path.stem if not faults else f"{path.stem} ✗")
        for fault in faults:
            print(f"{path.parent.name}/{path.name}: {fault}")
    for dialect, names in table.items():
        print(f"{dialect:16} {len(names):3}  {', '.join(names)}")
    print(f"{sum(map(len, table.values()))} vectors, {wrong} read wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
