"""Deployment files: what the tools of this machine can tell without a container engine."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from ai_usage_exporter.config import setting_names
from tests.collector.collector import CONFIGS, ROOT
from tests.collector.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

DEPLOY = CONFIGS / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, continuation lines joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(index for index, (word, _) in enumerate(found) if word == "FROM") :]


def script_of(service: str) -> str:
    command = SERVICES[service].get("entrypoint") or SERVICES[service]["command"]
    assert command[:2] == ["sh", "-euc"]
    return str(command[2]).replace("$$", "$")


def test_the_image_is_pinned_small_and_not_root() -> None:
    words = [word for word, _ in last_stage()]
    assert [text for word, text in last_stage() if word == "USER"] == ["10001:10001"]
    assert words.index("USER") > words.index("RUN"), "nothing is installed as another user"
    assert "ADD" not in words
    for word, text in instructions():
        if word == "FROM":
            assert re.match(r"[a-z]+:\d[\w.-]+( AS \w+)?$", text), f"{text}: a tag that says which version"
        if word in {"ENTRYPOINT", "CMD"}:
            assert text.startswith("["), "exec form: signals reach the process"
        if word == "RUN":
            assert "sudo" not in text
            assert "apt-get" not in text
    assert ("STOPSIGNAL", "SIGTERM") in last_stage()
    assert "--require-hashes" in DOCKERFILE


def test_the_build_gets_what_it_copies_and_the_lock_file_serves_it() -> None:
    allowed = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    assert allowed
    assert all((ROOT / name).exists() for name in allowed)
    run = next(text for word, text in instructions() if word == "RUN" and "uv export" in text)
    export = next(part for part in run.split("&&") if "uv export" in part).strip()
    command = [word for word in shlex.split(export) if word not in {"-o", "/tmp/requirements.txt"}]  # noqa: S108
    command[0] = f"{sys.prefix}/bin/uv"
    exported = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "asyncpg==" in exported
    assert "--hash=sha256:" in exported
    assert "pytest==" not in exported


def test_the_health_check_tells_alive_from_gone(database_url: str, tmp_path: Path) -> None:
    text = next(text for word, text in last_stage() if word == "HEALTHCHECK")
    code = yaml.safe_load(text[text.index("CMD ") + 4 :])[2]
    receiver = Receiver(database_url, tmp_path)
    check = [sys.executable, "-c", code.replace("127.0.0.1:8080", receiver.api)]
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
    receiver.start()
    try:
        assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    finally:
        receiver.stop()


def test_compose_mounts_what_exists_and_opens_nothing_to_the_network() -> None:
    for name, service in SERVICES.items():
        assert "latest" not in service["image"]
        assert ":" in service["image"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        for other in service.get("depends_on", {}):
            assert other in SERVICES
    assert {"postgres", "ai-usage", "otelcol", "jaeger", "grafana"} <= SERVICES.keys()
    assert (DEPLOY / SERVICES["ai-usage"]["build"]["context"] / "uv.lock").exists()


def test_every_variable_given_is_one_that_is_read() -> None:
    read = set(re.findall(r"\$\{env:([A-Z_]+)", (CONFIGS / "fan-out.yaml").read_text()))
    assert SERVICES["otelcol"]["environment"].keys() - read == {"GOMEMLIMIT"}
    texts = [DOCKERFILE, (DEPLOY / "compose.yaml").read_text(), (DEPLOY / "ai-usage.service").read_text()]
    named = {name for text in texts for name in re.findall(r"\bAI_USAGE_[A-Z_]+", text)}
    assert named
    assert named <= set(setting_names())
    provisioning = (CONFIGS / "grafana/provisioning/datasources/ai-usage.yaml").read_text()
    wanted = set(re.findall(r"\$(GRAFANA_[A-Z_]+)", provisioning))
    given = set(SERVICES["grafana"]["environment"]) | set(re.findall(r"GRAFANA_[A-Z_]+", script_of("grafana")))
    assert wanted <= given
    table = (ROOT / "docs/howto/grafana.md").read_text()
    assert all(f"`{name}`" in table for name in wanted)


def test_secrets_are_made_once(tmp_path: Path) -> None:
    script = script_of("secrets").replace("/run/secrets", str(tmp_path)).replace("chown 10001:10001 /queue", "true")
    subprocess.run(["sh", "-euc", script], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    used = {name for service in SERVICES.values() for name in re.findall(r"/run/secrets/([a-z-]+)", str(service))}
    assert made.keys() >= used
    assert all(re.fullmatch(r"[0-9a-f]{48}", text) for text in made.values())
    assert len(set(made.values())) == len(made)
    subprocess.run(["sh", "-euc", script], check=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == made


def test_every_script_is_one_a_shell_reads() -> None:
    for name in ("ai-usage", "grafana-role", "grafana"):
        subprocess.run(["sh", "-n", "-c", script_of(name)], check=True)


def test_the_dashboards_user_gets_what_the_how_to_says() -> None:
    documented = (ROOT / "docs/howto/grafana.md").read_text()
    statements = re.findall(r"^(?:GRANT|ALTER ROLE grafana SET) .*;$", (DEPLOY / "grafana-role.sql").read_text(), re.M)
    assert len(statements) == 5
    assert all(statement in documented for statement in statements)
