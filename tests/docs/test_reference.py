"""The reference says what the code does: every route, command and metric, and none that is gone."""

from __future__ import annotations

import pytest

from tests.docs.reference import FOLDER, MARKER, pages


@pytest.mark.parametrize("name", ["api.md", "cli.md", "metrics.md"])
def test_what_is_made_from_the_code_is_up_to_date(name: str) -> None:
    written = (FOLDER / name).read_text("utf-8")

    assert written.count(MARKER) == 1
    assert written.partition(MARKER)[2] == "\n" + pages()[name], "run make reference"
