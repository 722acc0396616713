"""Every published vector is read as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vectors.check import FOLDER, check, vectors

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", vectors(), ids=lambda path: str(path.relative_to(FOLDER).with_suffix("")))
def test_a_vector_is_read_as_it_says(path: Path) -> None:
    assert check(path) == []
