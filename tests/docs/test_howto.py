"""The how-tos name files, settings, variables, alerts and metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ai_usage_exporter.config import setting_names

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "collector-config"
HOWTOS = sorted((ROOT / "docs/howto").glob("*.md"))
OBSERVABILITY = [path for path in HOWTOS if path.stem in {"collector", "grafana", "jaeger", "tempo"}]

each_howto = pytest.mark.parametrize("howto", HOWTOS, ids=lambda path: path.name)
each_of_observability = pytest.mark.parametrize("howto", OBSERVABILITY, ids=lambda path: path.name)


def files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.splitlines()


def test_there_is_one_for_every_tool() -> None:
    assert {path.stem for path in OBSERVABILITY} == {"collector", "grafana", "jaeger", "tempo"}


@each_of_observability
def test_every_file_named_exists(howto: Path) -> None:
    text = howto.read_text()
    named = set(re.findall(r"`((?:[\w-]+/)*[\w.-]+\.(?:yaml|json|md|service|sql|sh))`", text))
    named |= set(re.findall(r"(?:--config|^cp) (\S+)", text, re.MULTILINE))
    known = files()
    missing = {name for name in named if not any(path == name or path.endswith(f"/{name}") for path in known)}
    assert not missing


@each_howto
def test_every_link_leads_somewhere(howto: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]+)", howto.read_text())
    assert not [link for link in links if not (howto.parent / link).exists()]


@each_of_observability
def test_every_setting_named_exists(howto: Path) -> None:
    assert set(re.findall(r"\bAI_USAGE_[A-Z_]+", howto.read_text())) <= set(setting_names())


@each_of_observability
def test_every_variable_given_to_a_collector_is_read_by_its_configuration(howto: Path) -> None:
    text = howto.read_text().replace("\\\n", " ")
    for assignments, config in re.findall(r"^((?:[A-Z_]+=\S+ +)+)otelcol --config (\S+)", text, re.MULTILINE):
        read = set(re.findall(r"\$\{env:([A-Z_]+)", (ROOT / config).read_text()))
        assert set(re.findall(r"([A-Z_]+)=", assignments)) <= read
    everything = "".join(path.read_text() for path in CONFIGS.glob("*.yaml"))
    named = set(re.findall(r"\b(?:RECEIVER|TLS|SENDER|TRACES|QUEUE)_[A-Z_]+", text))
    assert named <= set(re.findall(r"\$\{env:([A-Z_]+)", everything))


def test_every_alert_is_explained() -> None:
    groups = yaml.safe_load((CONFIGS / "prometheus/alerts.yaml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    text = (ROOT / "docs/howto/grafana.md").read_text()
    assert alerts == {name for name in re.findall(r"`([A-Z]\w+)`", text) if name.startswith(("AiUsage", "Collector"))}


def test_every_metric_to_watch_is_on_the_dashboard_or_in_an_alert() -> None:
    text = (ROOT / "docs/howto/collector.md").read_text()
    shown = (CONFIGS / "grafana/dashboards/server.json").read_text() + (CONFIGS / "prometheus/alerts.yaml").read_text()
    assert all(name in shown for name in re.findall(r"`(otelcol_\w+)`", text))


def test_every_configuration_has_a_line_that_says_when_to_use_it() -> None:
    text = (ROOT / "docs/howto/collector.md").read_text()
    assert all(f"[{path.name}]" in text for path in CONFIGS.glob("*.yaml"))
