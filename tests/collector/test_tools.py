"""What the tools these files are for say of them: Prometheus, Kubernetes and Docker Compose, by their own parsers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.collector.collector import CONFIGS
from tests.collector.test_dashboards import ALERTS, expressions, metrics

pytestmark = pytest.mark.timeout(600)
__all__ = ["metrics"]  # a fixture

MANIFESTS = sorted((CONFIGS / "kubernetes").glob("*.yaml"))
COMPOSE = CONFIGS / "deploy" / "compose.yaml"


def run(*command: object, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True, check=False)


def test_prometheus_takes_every_expression_and_every_metric_exists(
    metrics: str, tools: Path, collector_binary: str
) -> None:
    lines = [re.sub(r"\s+", " ", expression).strip() for expression in expressions()]
    checked = run(tools / "rules-check", ALERTS, text="\n".join(lines) + "\n")
    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == len(lines)
    named = set(checked.stdout.split())
    ours = set(re.findall(r"^(\w+?)(?:{.*})? \S+$", metrics, re.MULTILINE)) | {"up"}
    program = Path(collector_binary).read_bytes()
    theirs = {name for name in named if name.startswith("otelcol_") and name.encode() in program}
    assert not named - ours - theirs
    assert len([name for name in named & ours if name.startswith(("ai_usage", "receiver"))]) >= 8


def test_prometheus_refuses_what_is_wrong(tools: Path, tmp_path: Path) -> None:
    broken = tmp_path / "alerts.yaml"
    broken.write_text(ALERTS.read_text().replace("sum by (le)", "sum bye (le)"))
    checked = run(tools / "rules-check", broken)
    assert checked.returncode == 1
    assert "bye" in checked.stderr


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_knows_every_field(manifest: Path, tools: Path, tmp_path: Path) -> None:
    checked = run(tools / "manifest-check", manifest)
    assert checked.returncode == 0, checked.stderr
    broken = tmp_path / "broken.yaml"
    broken.write_text(manifest.read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem"))
    assert run(tools / "manifest-check", broken).returncode == 1


def test_compose_takes_the_file(tools: Path, tmp_path: Path) -> None:
    checked = run(tools / "compose-check", COMPOSE)
    assert checked.returncode == 0, checked.stderr
    assert set(checked.stdout.split()) == set(yaml.safe_load(COMPOSE.read_text())["services"])
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE.read_text().replace("depends_on:", "depends_upon:"))
    assert run(tools / "compose-check", broken).returncode == 1
