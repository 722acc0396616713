"""Rows become shadows and shadows rows, values unchanged, in the transaction that learns of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage_exporter.calls import Reason, Verdict
from ai_usage_exporter.evidence import evidence_of_stored
from ai_usage_exporter.storage.rollups import ENTRY_COLUMNS, RollupEntry
from ai_usage_exporter.storage.row import COLUMNS
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from ai_usage_exporter.evidence import Evidence
    from ai_usage_exporter.storage.connection import DatabaseConnection

SHADOW_COLUMNS: Final = (*COLUMNS, "reason", "row_id", "is_partly_covered")
"""The columns of a shadow that is received as one."""


class SettlementRaceError(Exception):
    """Say that a row changed its place while it was looked at: the same again will see where it is now."""


class Known(NamedTuple):
    """Hold a stored span: its evidence, and its verdict if it is a shadow."""

    evidence: Evidence
    created_at: datetime
    verdict: Verdict | None

    @classmethod
    def of(cls, row: asyncpg.Record) -> Known:
        """Read what ``settle_load`` gives."""
        reason = row["reason"]
        verdict = None if reason is None else Verdict(Reason(reason), row["row_id"], row["is_partly_covered"])
        return cls(evidence_of_stored(row), row["created_at"], verdict)


_Change = tuple["UUID", "datetime", "Verdict"]


class Moves(NamedTuple):
    """List what changes among stored spans."""

    to_shadows: list[_Change]
    to_rows: list[tuple[UUID, datetime]]
    renewed: list[_Change]
    """Shadows that stay shadows, of another row or for another reason."""

    @classmethod
    def between(cls, stored: Mapping[UUID, Known], verdicts: Mapping[UUID, Verdict]) -> Moves:
        """Return what makes stored spans be what the verdicts say."""
        moves = cls([], [], [])
        for id_, known in stored.items():
            verdict = verdicts.get(id_)
            if verdict == known.verdict:
                continue
            if verdict is None:
                moves.to_rows.append((id_, known.created_at))
            elif known.verdict is None:
                moves.to_shadows.append((id_, known.created_at, verdict))
            else:
                moves.renewed.append((id_, known.created_at, verdict))
        for changes in moves:
            changes.sort(key=lambda change: change[0].bytes)
        return moves


async def move(connection: DatabaseConnection, moves: Moves) -> list[RollupEntry]:
    """Do what ``moves`` lists and return what that adds to the sums and takes from them."""
    entries: list[RollupEntry] = []
    if moves.to_shadows:
        ids, moments, *verdicts = _columns(moves.to_shadows)
        entries += await _lock(connection, "settle_rows_lock", ids, moments, sign=-1)
        await connection.execute(_statement("settle_demote"), ids, moments, *verdicts)
        await connection.execute(load_statement("settle_demoted_delete"), ids, moments)
    if moves.to_rows:
        ids, moments = (list(column) for column in zip(*moves.to_rows, strict=True))
        entries += await _lock(connection, "settle_shadows_lock", ids, moments, sign=1)
        await connection.execute(_statement("settle_promote"), ids, moments)
        await connection.execute(load_statement("settle_promoted_delete"), ids, moments)
    if moves.renewed:
        await connection.execute(load_statement("settle_shadows_update"), *_columns(moves.renewed))
    if any(moves):
        stands_for = {id_: verdict.row_id for id_, _, verdict in (*moves.to_shadows, *moves.renewed)}
        stands_for |= {id_: id_ for id_, _ in moves.to_rows}
        await connection.execute(load_statement("settle_variants_follow"), list(stands_for), list(stands_for.values()))
    return entries


def _columns(changes: Sequence[_Change]) -> list[list[Any]]:
    rows = [
        (id_, created_at, verdict.reason.value, verdict.row_id, verdict.is_partly_covered)
        for id_, created_at, verdict in changes
    ]
    return [list(column) for column in zip(*rows, strict=True)]


async def _lock(
    connection: DatabaseConnection, name: str, ids: list[Any], moments: list[Any], *, sign: int
) -> list[RollupEntry]:
    statement = load_statement(name).replace("{columns}", ", ".join(ENTRY_COLUMNS))
    rows = await connection.fetch(statement, ids, moments)
    if len(rows) != len(ids):
        raise SettlementRaceError(f"{len(ids) - len(rows)} of {len(ids)} spans are not where they were")
    return [RollupEntry._make((*row.values(), sign)) for row in rows]


def _statement(name: str) -> str:
    text = load_statement(name).replace("{columns}", ", ".join(COLUMNS))
    return text.replace("{qualified}", ", ".join(f"log.{column}" for column in COLUMNS))
