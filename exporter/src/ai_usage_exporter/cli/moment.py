"""Times as options: a day or a moment, UTC unless it says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click


class Moment(click.ParamType[datetime]):
    """Read ``2026-11-01`` or ``2026-11-01T08:00+01:00`` as an aware ``datetime``; ``now`` is now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment or fail with what to write."""
        if isinstance(value, datetime):
            return value
        if value == "now":
            return datetime.now(UTC)
        try:
            moment = datetime.fromisoformat(value)
            moment = moment.replace(tzinfo=moment.tzinfo or UTC)
            moment.astimezone(UTC)  # year 1 in a time zone before UTC's is no moment at all
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: write 2026-11-01 or 2026-11-01T08:00+01:00", param, ctx)
        return moment


MOMENT = Moment()
