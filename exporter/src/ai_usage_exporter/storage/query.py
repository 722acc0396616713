"""What can be asked of the usage data: a half-open range of time and conditions on dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Dimension(StrEnum):
    """Name what calls can be filtered and grouped by; the values are the API's parameter names."""

    USER = "user"
    SERVICE = "service"
    ACTION = "action"
    PROVIDER = "provider"
    MODEL = "model"
    SUCCESS = "success"
    ERROR_CODE = "error_code"
    COST_STATUS = "cost_status"


@dataclass(frozen=True, slots=True)
class Condition:
    """Ask that a dimension has one of the values, or with ``exclude`` none of them.

    The value ``""`` stands for calls that have none; success takes ``"true"`` and ``"false"``. No values match
    nothing, or everything with ``exclude``.
    """

    dimension: Dimension
    values: tuple[str, ...]
    exclude: bool = False


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Ask for the calls that started in ``[start, end)`` and meet every condition. Both times carry a zone."""

    start: datetime
    end: datetime
    conditions: tuple[Condition, ...] = ()

    @property
    def dimensions(self) -> frozenset[Dimension]:
        """Return the dimensions that have a condition."""
        return frozenset(condition.dimension for condition in self.conditions)
