"""SQL statements: one a file under ``sql/``, read once."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def load_statement(name: str) -> str:
    """Return the statement in ``sql/<name>.sql``."""
    return (resources.files("ai_usage_exporter.storage") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
