"""The log stays readable whatever is sent: one cause writes so many lines a minute."""

from __future__ import annotations

import logging

from ai_usage_exporter.log_format import RepeatLimit


def record(line: int, message: str) -> logging.LogRecord:
    return logging.LogRecord("receiver", logging.WARNING, "receiver.py", line, message, (), None)


def test_one_cause_is_written_so_often_whatever_its_text() -> None:
    limit = RepeatLimit(lines=3)
    assert [limit.filter(record(1, f"from {number}")) for number in range(5)] == [True] * 3 + [False] * 2
    assert limit.filter(record(2, "another cause"))


def test_the_next_line_says_how_many_were_left_out() -> None:
    limit = RepeatLimit(lines=1, per_s=0)
    limit.filter(record(1, "a"))
    limit._causes["receiver.py", 1].left_out = 7
    later = record(1, "b")
    assert limit.filter(later)
    assert later.__dict__["left_out_before"] == 7
