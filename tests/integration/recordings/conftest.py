"""Recordings lie beside the repository; without them their replay is not collected."""

from __future__ import annotations

from tests.integration.recordings.cassettes import FOLDER

collect_ignore = [] if FOLDER.is_dir() else ["test_replay_recordings.py"]


def pytest_report_header() -> str | None:
    """Say why the replay is missing."""
    return f"no provider recordings in {FOLDER}: their replay is not collected" if collect_ignore else None
