"""The two tables that hold calls in the same columns: rows, and the spans that restate them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


class UsageTable(NamedTuple):
    """Name a table and what tells apart its entries of one id; only rows are summed."""

    name: str
    variant: str
    is_summed: bool

    def statement(self, name: str, *, lock: str = "") -> str:
        """Return a statement for this table, whose places are ``{table}``, ``{variant}`` and ``{lock}``."""
        text = load_statement(name).replace("{table}", self.name).replace("{variant}", self.variant)
        return text.replace("{lock}", lock)


class Place(NamedTuple):
    """Mark a place in a table read in order of time: after the entry with this start, id and variant."""

    created_at: datetime
    id: UUID
    variant: int = 0


ROWS: Final = UsageTable("ai_usage_logs", "0::bigint", is_summed=True)
SHADOWS: Final = UsageTable("ai_usage_shadow_spans", "log.variant", is_summed=False)
