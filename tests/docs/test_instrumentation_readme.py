"""The app side's README names the settings and attributes that the code has: all of them and no others."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

from ai_usage import semconv
from ai_usage._baggage import DEFAULT, NAMES
from ai_usage._exit import LONGEST_WAIT_S
from ai_usage._text import LONGEST

ROOT = Path(__file__).parents[2]
README = (ROOT / "instrumentation/README.md").read_text("utf-8")
SOURCE = {
    path: path.read_text("utf-8")
    for path in (ROOT / "instrumentation/src/ai_usage").rglob("*.py")
    if path.name != "semconv.py"
}


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[str]:
    """Return the first cells of a section's table."""
    return [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]


def test_every_setting_of_ours_is_in_the_table_and_every_one_in_it_is_ours() -> None:
    read = {name for text in SOURCE.values() for name in re.findall(r'"(AI_USAGE_INSTRUMENTATION_[A-Z_]+)"', text)}
    told = {name for cell in rows("Settings") for name in re.findall(r"AI_USAGE_\w+", cell)}
    assert read == told
    assert set(re.findall(r"AI_USAGE_INSTRUMENTATION_\w+", README)) == read


def test_every_official_setting_the_code_reads_is_in_the_table() -> None:
    read = {name for text in SOURCE.values() for name in re.findall(r'"(OTEL_[A-Z_]+)"', text)}
    told = set(re.findall(r"OTEL_\w+", section("Settings")))
    assert read
    assert read <= told


def test_the_attributes_in_the_table_are_those_that_are_written() -> None:
    used = {name for text in SOURCE.values() for name in re.findall(r"semconv\.([A-Z_0-9]+)", text)}
    metrics = {"METRIC_TOKEN_USAGE", "METRIC_OPERATION_DURATION", "TOKEN_TYPE"}
    written = {getattr(semconv, name) for name in used - metrics}
    told = {name for cell in rows("What is on a span") for name in re.findall(r"`([^`]+)`", cell)}
    assert told == written
    assert all(f"`{name}`" in README for name in (semconv.METRIC_TOKEN_USAGE, semconv.METRIC_OPERATION_DURATION))


def test_defaults_and_limits_are_those_of_the_code() -> None:
    (default,) = re.findall(r"`AI_USAGE_INSTRUMENTATION_BAGGAGE` \| `([^`]+)`", README)
    assert tuple(default.split(",")) == DEFAULT
    assert f"{LONGEST:,} characters" in README
    assert LONGEST_WAIT_S < 5
    assert all(f"`{name}`" in README or name in default for name in NAMES)


def test_every_example_is_python_and_imports_what_exists() -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) >= 7
    for example in examples:
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ai_usage"):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names), example
