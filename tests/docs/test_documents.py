"""What the documents say exists: links, make targets, commands, records in the index."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ai_usage_exporter.cli import cli

ROOT = Path(__file__).parents[2]


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [ROOT / name for name in listed]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing, f"{document.name} links to {missing}"


def test_every_make_target_named_in_a_document_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (document.name, target)
        for document in documents()
        for target in re.findall(
            r"`make ([a-z][a-z-]*)`|^make ([a-z][a-z-]*)", document.read_text("utf-8"), re.MULTILINE
        )
        for target in target
        if target
    }
    assert named
    assert not {(name, target) for name, target in named if target not in targets}


def test_every_command_named_in_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(
        re.findall(r"ai-usage (?!-)([a-z]+)\b", " ".join(re.findall(r"`[^`\n]+`|^ai-usage .*$", text, re.MULTILINE)))
    )
    assert named
    assert named <= set(cli.list_commands(cli.make_context("ai-usage", ["--help"], resilient_parsing=True)))


def test_every_decision_has_a_number_of_its_own() -> None:
    records = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    numbers = [record.name[:4] for record in records]
    assert numbers
    assert len(numbers) == len(set(numbers)), "two decisions have one number"
    assert all(record.read_text("utf-8").startswith("# ") for record in records)


def test_every_changelog_fragment_has_a_known_kind() -> None:
    kinds = {path.name.split(".")[-2] for path in (ROOT / "changelog.d").glob("*.md") if path.name != "README.md"}
    assert kinds <= {"added", "changed", "fixed", "removed", "security", "deprecated"}
