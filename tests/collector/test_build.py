"""Where the Collector comes from: the one built before, else Go, else a released one on PATH, else a clear word."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.collector.collector import BUILD, CONFIGS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """Give a PATH of a machine without Go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "git", "cut", "dirname"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def build(bin_folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(bin_folder), "XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
    return subprocess.run([str(BUILD)], env=environment, capture_output=True, text=True, check=False)


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_without_go_a_released_collector_is_used(bin_folder: Path, tmp_path: Path) -> None:
    released = executable(bin_folder / "otelcol-contrib")
    built = build(bin_folder, tmp_path / "cache")
    assert (built.returncode, built.stdout) == (0, f"{released}\n")


def test_without_either_it_says_what_to_install(bin_folder: Path, tmp_path: Path) -> None:
    built = build(bin_folder, tmp_path / "cache")
    assert built.returncode == 1
    assert built.stdout == ""
    assert "install Go" in built.stderr
    assert "otelcol-contrib" in built.stderr


def test_what_was_built_before_is_used_until_the_components_change(bin_folder: Path, tmp_path: Path) -> None:
    file = CONFIGS / "builder-config.yaml"
    state = subprocess.run(["git", "hash-object", str(file)], capture_output=True, text=True, check=True).stdout[:16]
    binary = executable(tmp_path / "cache" / "ai-usage" / "collector" / state / "otelcol")
    built = build(bin_folder, tmp_path / "cache")
    assert (built.returncode, built.stdout) == (0, f"{binary}\n")
