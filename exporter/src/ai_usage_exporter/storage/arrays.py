"""Many values as one parameter: arrays as PostgreSQL writes them, ids joined.

The driver asks of every item of a list whether it is a list too, which takes a tenth of all that a span costs.
Statements take an array as ``$1::text::bigint[]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime


def array_of(values: Iterable[object]) -> str:
    """Return numbers or ids as an array."""
    return f"{{{','.join(map(str, values))}}}"


def joined(ids: Collection[bytes], size: int) -> bytes:
    """Return ids one after the other, for ``substr`` to cut. Raises ``ValueError`` when one is of another size."""
    if not {size}.issuperset(map(len, ids)):
        raise ValueError(f"an id that has not {size} bytes")
    return b"".join(ids)


def array_of_moments(moments: Iterable[datetime]) -> str:
    """Return moments as an array."""
    return array_of([moment.isoformat() for moment in moments])


def array_of_texts(texts: Collection[str]) -> str:
    """Return texts as an array, whatever they hold."""
    together = '","'.join(texts)
    if "\\" in together or together.count('"') != 2 * (len(texts) - 1):
        together = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in texts])
    return f'{{"{together}"}}' if texts else "{}"
