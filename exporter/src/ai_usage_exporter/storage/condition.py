"""Conditions and dimensions as SQL: names from the two lists here, values always as parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from ai_usage_exporter.storage.query import Dimension
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_usage_exporter.storage.query import Condition

KEY_COLUMNS: Final = {
    Dimension.SERVICE: "key.service",
    Dimension.ACTION: "key.action",
    Dimension.PROVIDER: "key.provider",
    Dimension.MODEL: "key.model",
    Dimension.SUCCESS: "key.success::text",
    Dimension.ERROR_CODE: "key.error_code",
    Dimension.COST_STATUS: "key.cost_status",
}
"""How a dimension is read from ``ai_usage_rollup_keys AS key``."""

ROW_COLUMNS: Final = {
    Dimension.USER: "coalesce(log.user_id::text, log.user_ref)",
    Dimension.SERVICE: "log.service_name",
    Dimension.ACTION: "log.service_action",
    Dimension.PROVIDER: "log.provider",
    Dimension.MODEL: "log.model",
    Dimension.SUCCESS: "log.success::text",
    Dimension.ERROR_CODE: "log.error_code",
    Dimension.COST_STATUS: "log.cost_status",
}
"""How a dimension is read from ``ai_usage_logs AS log``."""

_NOT_NULL: Final = frozenset(
    {Dimension.SERVICE, Dimension.PROVIDER, Dimension.MODEL, Dimension.SUCCESS, Dimension.COST_STATUS}
)


class Parameters:
    """Collect the values of a statement."""

    def __init__(self, *values: Any) -> None:
        self.values: list[Any] = list(values)

    def add(self, value: Any, cast: str) -> str:
        """Add a value and return its place in the statement."""
        self.values.append(value)
        return f"${len(self.values)}::{cast}"


def key_conditions(conditions: Iterable[Condition], parameters: Parameters) -> str:
    """Return conditions on keys as SQL."""
    return _all([_in(KEY_COLUMNS[item.dimension], item, parameters) for item in conditions])


def row_conditions(conditions: Iterable[Condition], parameters: Parameters) -> str:
    """Return conditions on rows as SQL; users in a form that their indexes answer."""
    return _all(
        [
            _is_user(item.values, parameters)
            if item.dimension is Dimension.USER and not item.exclude
            else _in(ROW_COLUMNS[item.dimension], item, parameters)
            for item in conditions
        ]
    )


def same_group(dimensions: Sequence[Dimension]) -> str:
    """Return as SQL that a row ``log`` belongs to ``grouped`` (d1, d2, …); no value is a value of its own."""
    conditions = []
    for number, dimension in enumerate(dimensions, 1):
        column, of_group = ROW_COLUMNS[dimension], f"grouped.d{number}"
        if dimension in _NOT_NULL:
            conditions.append(f"{of_group} = {column}")
        else:  # IS NOT DISTINCT FROM, in a form that can be hashed
            conditions.append(f"coalesce({of_group}, '') = coalesce({column}, '')")
            conditions.append(f"({of_group} IS NULL) = ({column} IS NULL)")
    return _all(conditions)


def statement(name: str, *, conditions: str, dimensions: Sequence[str] = (), pieces: str = "") -> str:
    """Return a statement with its dimensions, named d1, d2, …, its conditions and its pieces put in."""
    chosen = [f"{expression} AS d{number}" for number, expression in enumerate(dimensions, 1)] or ["NULL::text AS d1"]
    names = [f"d{number}" for number in range(1, len(chosen) + 1)]
    return (
        load_statement(name)
        .replace("{dimensions}", ", ".join(chosen))
        .replace("{names}", ", ".join(names))
        .replace("{conditions}", conditions)
        .replace("{pieces}", pieces)
    )


def is_as_kept(user: str) -> bool:
    """Say whether a user is written as PostgreSQL writes it: a condition takes a UUID's other forms too."""
    user_id = _uuid(user)
    return user_id is None or str(user_id) == user


def _all(conditions: list[str]) -> str:
    return " AND ".join(conditions) or "true"


def _in(column: str, condition: Condition, parameters: Parameters) -> str:
    if condition.dimension not in _NOT_NULL:
        column = f"coalesce({column}, '')"
    place = parameters.add(list(condition.values), "text[]")
    return f"{'NOT ' if condition.exclude else ''}{column} = ANY({place})"


def _is_user(users: Sequence[str], parameters: Parameters) -> str:
    ids = [user_id for user in users if (user_id := _uuid(user)) is not None]
    if len(users) == 1 and users[0] and not ids:
        # Equality lets (user_ref, created_at) give the newest calls in order; ANY of one does not.
        return f"log.user_ref = {parameters.add(users[0], 'text')}"
    choices = [f"log.user_ref = ANY({parameters.add(list(users), 'text[]')})"]
    if ids:
        choices.append(f"log.user_id = ANY({parameters.add(ids, 'uuid[]')})")
    if "" in users:
        choices.append("(log.user_id IS NULL AND log.user_ref IS NULL)")
    return f"({' OR '.join(choices)})"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None
