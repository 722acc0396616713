"""The systemd unit, by systemd's own checks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.collector.collector import CONFIGS

UNIT = CONFIGS / "deploy" / "ai-usage.service"


def installed(folder: Path, text: str) -> Path:
    """Return the unit as it is on a machine where the server is installed."""
    unit = folder / "ai-usage.service"
    unit.write_text(text.replace("/opt/ai-usage/bin/ai-usage", str(Path(sys.executable).with_name("ai-usage"))))
    return unit


def verify(unit: Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_takes_every_line(tmp_path: Path) -> None:
    checked = verify(installed(tmp_path, UNIT.read_text()))
    assert checked.returncode == 0, checked.stderr
    assert "ai-usage.service" not in checked.stderr
    broken = verify(installed(tmp_path, UNIT.read_text().replace("ProtectClock", "ProtectClocks")))
    assert "ProtectClocks" in broken.stderr


def test_systemd_finds_little_to_attack(tmp_path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", str(installed(tmp_path, UNIT.read_text()))]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", printed)
    assert level is not None, printed
    assert float(level[1]) <= 2.0
