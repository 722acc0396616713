"""How the server's log looks: JSON lines for machines, colours for people. Code logs through ``logging`` as usual."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logging(level: str) -> None:
    """Send every log record to stderr; ``level`` is DEBUG, INFO, WARNING or ERROR.

    Control characters in messages are escaped: names in them come from senders.
    """
    is_terminal = sys.stderr.isatty()
    before: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        _escape_control_characters,
    ]
    if is_terminal:
        render: list[Processor] = [structlog.dev.ConsoleRenderer()]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepeatLimit())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Chatty below warning, and about matters the server's own log already covers.
    for name in ("asyncio", "uvicorn", "uvicorn.error", "grpc", "asyncpg"):
        logging.getLogger(name).setLevel(max(logging.getLevelName(level), logging.WARNING))


class RepeatLimit(logging.Filter):
    """Let one cause write so many lines a minute; the first after that says how many were left out.

    A cause is the place in the code that logs, not the text: senders choose parts of that.
    """

    def __init__(self, lines: int = 20, per_s: float = 60) -> None:
        super().__init__()
        self._lines = lines
        self._per_s = per_s
        self._causes: dict[tuple[str, int], _Cause] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether ``record`` is written."""
        now = time.monotonic()
        cause = self._causes.setdefault((record.pathname, record.lineno), _Cause(now))
        if now - cause.since >= self._per_s:
            if cause.left_out:
                record.left_out_before = cause.left_out
            cause.since, cause.written, cause.left_out = now, 0, 0
        if cause.written >= self._lines:
            cause.left_out += 1
            return False
        cause.written += 1
        return True


@dataclass(slots=True)
class _Cause:
    since: float
    written: int = 0
    left_out: int = 0


def _escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    message = event.get("event")
    if isinstance(message, str) and not message.isprintable():
        event["event"] = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    return event
