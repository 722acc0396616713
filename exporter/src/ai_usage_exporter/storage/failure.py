"""What a database error means for a batch: its data, its timing, or the database itself."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

import asyncpg

from ai_usage_exporter.storage.move import SettlementRaceError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Failure(Enum):
    """Say what to do about a failed transaction; in every case it left nothing behind."""

    DUPLICATE = "duplicate"
    """A row exists already: write again, the careful way."""
    DATA = "data"
    """Some value was refused: find it, park it, write the others."""
    COLLISION = "collision"
    """Another transaction was in the way: the same again may succeed at once."""
    UNAVAILABLE = "unavailable"
    """The database cannot do it now: the sender keeps the spans and tries again."""


class Cause(StrEnum):
    """Say why the database did not take usage, in metrics and readiness."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    TIMEOUT = "timeout"
    AWAY = "away"
    OTHER = "other"


WRITES_REFUSED: Final[Mapping[Cause, str]] = {
    Cause.DISK_FULL: "has no room left on its disk",
    Cause.READ_ONLY: "is read-only",
}
"""What can be said of a database that answers and yet takes no usage."""


def cause_of(error: BaseException) -> Cause:
    """Return why ``error`` kept usage from being stored."""
    match error:
        case asyncpg.DiskFullError():
            return Cause.DISK_FULL
        case asyncpg.ReadOnlySQLTransactionError():
            return Cause.READ_ONLY
        case TimeoutError() | asyncpg.QueryCanceledError():
            return Cause.TIMEOUT
        case (
            OSError()
            | asyncpg.InterfaceError()
            | asyncpg.PostgresConnectionError()
            | asyncpg.OperatorInterventionError()
        ):
            return Cause.AWAY
        case _:
            return Cause.OTHER


def classify(error: BaseException) -> Failure:
    """Return what ``error``, raised while a batch was written, means.

    Everything not known to be about the data counts as unavailable: retrying what cannot succeed costs time,
    refusing what could costs spans.
    """
    match error:
        case asyncpg.UniqueViolationError():
            return Failure.DUPLICATE
        case asyncpg.ForeignKeyViolationError():
            return Failure.COLLISION  # a user was deleted between being resolved and being referred to
        case SettlementRaceError():
            return Failure.COLLISION
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError() | asyncpg.LockNotAvailableError():
            return Failure.COLLISION
        case asyncpg.InvalidCachedStatementError():
            return Failure.COLLISION  # a migration ran: the next try plans anew
        case asyncpg.PostgresError(sqlstate=str(state)) if state[:2] in {"22", "23"} or state == "54000":
            return Failure.DATA
        case asyncpg.DataError() | UnicodeError() | OverflowError() | ArithmeticError() | TypeError() | ValueError():
            return Failure.DATA
        case _:
            return Failure.UNAVAILABLE
