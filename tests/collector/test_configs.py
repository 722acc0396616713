"""Every configuration: accepted by the Collector, explained to its reader, made of exactly the components we build."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.collector.collector import CONFIGS, Collector
from tests.collector.conftest import HAS_GO

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)

FILES = sorted(path.name for path in CONFIGS.glob("*.yaml") if path.name != "builder-config.yaml")
KINDS = ("receivers", "processors", "exporters", "extensions")


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONFIGS / name).read_text())
    return content


@pytest.mark.parametrize("name", FILES)
def test_the_collector_accepts_it(name: str, collector_binary: str, tmp_path: Path) -> None:
    result = Collector(collector_binary, CONFIGS / name, tmp_path, {}).validate()
    assert result.returncode == 0, result.stderr


def test_the_collector_refuses_a_broken_one(collector_binary: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text((CONFIGS / "agent.yaml").read_text().replace("max_elapsed_time", "max_elapsed_tme"))
    result = Collector(collector_binary, broken, tmp_path, {}).validate()
    assert result.returncode == 1
    assert "max_elapsed_tme" in result.stderr


@pytest.mark.parametrize("name", FILES)
def test_it_says_when_to_use_it_and_how_to_run_it(name: str) -> None:
    head = (CONFIGS / name).read_text().split("\n\n")[0]
    lines = head.splitlines()
    assert re.match(rf"# {name.removesuffix('.yaml').capitalize()}: ", lines[0])
    assert lines[1].startswith("# When to use: ")
    assert f"otelcol --config {name}" in head


@pytest.mark.parametrize("name", FILES)
def test_what_reaches_ai_usage_is_never_given_up(name: str) -> None:
    config = load(name)
    usage = next(pipeline for pipeline in config["service"]["pipelines"].values() if pipeline["receivers"] == ["otlp"])
    # The first exporter on the usage side: to ai-usage, or to Kafka on the way there.
    exporter = config["exporters"][usage["exporters"][0]]
    assert exporter["sending_queue"]["storage"] == "file_storage"
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert config["extensions"]["file_storage"]["fsync"] is True
    # What answers before it has written, or drops, has no place on this side.
    assert not [name for name in usage["processors"] if name.split("/")[0] in {"batch", "tail_sampling", "filter"}]


def test_the_distribution_has_exactly_the_components_used(collector_binary: str) -> None:
    printed = subprocess.run([collector_binary, "components"], capture_output=True, text=True, check=True).stdout
    built = {kind: {component["name"] for component in yaml.safe_load(printed)[kind]} for kind in KINDS}
    used = {kind: {name.split("/")[0] for file in FILES for name in load(file).get(kind, {})} for kind in KINDS}
    if HAS_GO:
        assert built == used
    else:
        assert all(used[kind] <= built[kind] for kind in KINDS)
