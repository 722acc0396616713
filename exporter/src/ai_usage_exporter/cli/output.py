"""What commands print: tables for people, JSON for programs, progress for the impatient."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_PIPED_COLUMNS = 180
"""How wide tables may be where no terminal says it."""

_LONG_TEXT = 40

_out = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_COLUMNS)
_err = Console(stderr=True, highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows to stdout; a column whose name starts with ``>`` is aligned right.

    Where the terminal is too narrow, columns with long text are folded; numbers and names never are.
    """
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    cells = [["" if cell is None else _plain(cell) for cell in row] for row in rows]
    for place, column in enumerate(columns):
        is_right = column.startswith(">")
        is_long = max((len(row[place]) for row in cells), default=0) > _LONG_TEXT
        table.add_column(
            column.removeprefix(">"),
            justify="right" if is_right else "left",
            no_wrap=is_right or not is_long,
            overflow="fold",
        )
    for row in cells:
        table.add_row(*row)
    _out.print(table)


def print_json(document: object) -> None:
    """Print one JSON document to stdout; anything JSON does not know (Decimal, UUID, datetime) as a string."""
    _out.out(json.dumps(document, default=str, indent=2))


def print_styled(*parts: tuple[str, str]) -> None:
    """Print a line of texts, each with its style, to stdout; plain where colours are not wanted (NO_COLOR)."""
    _out.print(Text.assemble(*parts), soft_wrap=True)


def say(message: str, *, style: str | None = None) -> None:
    """Print words to stderr, so that they never mix with data."""
    _err.print(message, style=style, markup=False, soft_wrap=True)


@contextmanager
def progress(message: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr that work goes on; the yielded call replaces the message.

    A spinner on a terminal, a line for each message elsewhere.
    """
    if not _err.is_terminal:
        say(message)
        yield say
        return
    with _err.status(message) as status:
        yield lambda text: status.update(text)


def _plain(cell: Any) -> str:
    # Names come from telemetry: no markup, and no control characters that could steer a terminal.
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(cell))
    return text.replace("[", r"\[")
