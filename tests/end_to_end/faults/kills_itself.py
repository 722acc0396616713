"""``ai-usage serve`` that kills itself the first time it comes to the point named on the command line."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from ai_usage_exporter.cli import main
from ai_usage_exporter.storage import rollups, writer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def die() -> None:
    """End as after kill -9."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying(step: Callable[..., Awaitable[Any]], *, after: bool) -> Callable[..., Awaitable[Any]]:
    """Return ``step`` with an end before or after it."""

    async def with_end(*arguments: Any, **options: Any) -> None:
        if after:
            await step(*arguments, **options)
        die()

    return with_end


match sys.argv.pop(1):
    case "before the rows":
        writer.copy_rows = dying(writer.copy_rows, after=False)
    case "between rows and rollups":
        rollups.apply = dying(rollups.apply, after=False)
    case "before COMMIT":
        rollups.apply = dying(rollups.apply, after=True)
    case "after COMMIT":
        writer.UsageWriter._transaction = dying(writer.UsageWriter._transaction, after=True)  # type: ignore[method-assign]

sys.argv[1:] = ["serve"]
main()
