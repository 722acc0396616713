"""One PostgreSQL data directory and the binaries that run it: initdb, start, stop, and whose files they are."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ai_usage_exporter.errors import PermanentError

if TYPE_CHECKING:
    import pwd
    from collections.abc import Iterator, Mapping

_SYSTEM_USER: Final = "pgserver"
"""Who runs PostgreSQL when we are root: PostgreSQL refuses to run as root."""
_SOCKET: Final = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH: Final = 100
_START_TIMEOUT_S: Final = 300
"""Generous, because a start after a hard kill replays the whole write-ahead log first."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """Drive one PostgreSQL data directory with one set of binaries; every method blocks."""

    data_dir: Path
    binaries: Path
    settings: Mapping[str, str]

    @property
    def pgdata(self) -> Path:
        return self.data_dir / "postgresql"

    @contextmanager
    def start_lock(self) -> Iterator[None]:
        """Let one process at a time start or stop; the kernel releases it whatever happens to us."""
        with (self.data_dir / "start.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def prepare(self) -> None:
        """Create the directory on first use; refuse one of another PostgreSQL version or another user."""
        user = self._user()
        if user is not None:
            self._open_path_for(user)
        version_file = self.pgdata / "PG_VERSION"
        if version_file.exists():
            version, ours = version_file.read_text().strip(), str(major_version(self.binaries))
            if version != ours:
                raise PermanentError(
                    f"{self.pgdata} holds data of PostgreSQL {version}, the installed one is {ours}: install that "
                    "version's wheel, or move the data with pg_dump and set AI_USAGE_DATA_DIR to a new directory"
                )
            return
        if self.pgdata.exists():
            raise PermanentError(
                f"{self.pgdata} exists but holds no PostgreSQL data: move it away or choose another AI_USAGE_DATA_DIR"
            )
        # Built apart and renamed, so that a first start that is cut off leaves nothing half made behind.
        unfinished = self.data_dir / "postgresql.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        if user is not None:
            os.chown(unfinished, user.pw_uid, user.pw_gid)
        locale = ["--locale=C"]
        if major_version(self.binaries) >= 17:
            # Knows upper and lower case of every script, and sorts the same on every machine for ever.
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run(
            "initdb", "--pgdata", str(unfinished), "--username=postgres", "--auth=trust", "--encoding=UTF8",
            "--data-checksums", *locale,
        )  # fmt: skip
        unfinished.rename(self.pgdata)

    def start(self) -> Path:
        """Start unless it runs already; return the directory of its socket once it accepts connections."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.running_pid() is None:
                self._start_or_wait_for_leavers()
            elif (socket_dir := self._ready_socket_dir()) is not None:
                return socket_dir
            else:
                time.sleep(0.05)  # it is starting, recovering, or on its way out
        raise PermanentError(f"the embedded PostgreSQL did not get ready; the end of its log:\n{self._log_tail()}")

    def _start_or_wait_for_leavers(self) -> None:
        socket_dir = self._make_socket_dir()
        if self._pid_was_reused():
            # Left by a hard kill: PostgreSQL would take the other program (or its own unreaped remains) for a
            # running server. What really guards the data is the shared memory, and that it checks all the same.
            (self.pgdata / "postmaster.pid").unlink()
            (socket_dir / f"{_SOCKET}.lock").unlink(missing_ok=True)
        options = {**self.settings, "unix_socket_directories": str(socket_dir)}
        flags = " ".join(f"-c {name}={_quoted(value)}" for name, value in options.items())
        try:
            self._run(
                "pg_ctl", "start", "--wait", f"--timeout={_START_TIMEOUT_S}", "--pgdata", str(self.pgdata),
                "--log", str(self.pgdata / "start.log"), "--options", flags,
            )  # fmt: skip
        except PermanentError:
            # After a hard kill the server's children need a moment to notice. They still hold its memory, and
            # PostgreSQL rightly refuses to start beside them.
            if "still in use" not in self._log_tail():
                raise
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop with a checkpoint: the next start has nothing to recover."""
        if self.running_pid() is not None:
            self._run("pg_ctl", "stop", "--wait", "--timeout=120", "--mode=fast", "--pgdata", str(self.pgdata))

    def running_pid(self) -> int | None:
        """Return the postmaster's process id if that process really is a PostgreSQL."""
        pid = self._recorded_pid()
        return pid if pid is not None and _is_postgres(pid) else None

    def _recorded_pid(self) -> int | None:
        """Return the process id in ``postmaster.pid`` if any process has it."""
        try:
            pid = int((self.pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid

    def _pid_was_reused(self) -> bool:
        pid = self._recorded_pid()
        return pid is not None and not _is_postgres(pid)

    def _log_tail(self, lines: int = 5) -> str:
        """Return the last lines of the newest log."""
        logs = [self.pgdata / "start.log", *(self.pgdata / "log").glob("*.log")]
        newest = max((log for log in logs if log.exists()), key=lambda log: log.stat().st_mtime_ns, default=None)
        return "" if newest is None else "\n".join(newest.read_text(errors="replace").splitlines()[-lines:])

    def _ready_socket_dir(self) -> Path | None:
        try:
            lines = (self.pgdata / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        return Path(lines[4]) if len(lines) >= 8 and lines[7].strip() == "ready" else None

    def _make_socket_dir(self) -> Path:
        if len(str(self.pgdata / _SOCKET)) <= _LONGEST_SOCKET_PATH:
            return self.pgdata
        # The path of a socket is limited to 107 bytes; a short one of our own stands in.
        name = hashlib.sha256(str(self.pgdata).encode()).hexdigest()[:16]
        directory = Path(tempfile.gettempdir()) / f"ai-usage-{name}"
        owner = self.pgdata.stat()
        try:
            directory.mkdir(mode=0o700)
            os.chown(directory, owner.st_uid, owner.st_gid)
        except FileExistsError:
            found = directory.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.st_uid or stat.S_IMODE(found.st_mode) != 0o700:
                raise PermanentError(
                    f"{directory} (for the database socket) belongs to somebody else or is open to others: remove it, "
                    "or set AI_USAGE_DATA_DIR to a shorter path"
                ) from None
        return directory

    def _user(self) -> pwd.struct_passwd | None:
        """Return the system user to run as, or ``None`` to run as ourselves."""
        if os.geteuid() != 0:
            return None
        import pwd

        if self.pgdata.exists() and (owner := self.pgdata.stat().st_uid) != 0:
            try:
                return pwd.getpwuid(owner)
            except KeyError:
                raise PermanentError(
                    f"{self.pgdata} belongs to user id {owner}, which does not exist here: chown it to a system user, "
                    "or choose another AI_USAGE_DATA_DIR"
                ) from None
        try:
            return pwd.getpwnam(_SYSTEM_USER)
        except KeyError:
            pass
        try:
            command = ["useradd", "--system", "--shell", "/bin/sh", _SYSTEM_USER]
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - constant command
        except (OSError, subprocess.CalledProcessError) as error:
            raise PermanentError(
                f"PostgreSQL does not run as root and no user could be made for it ({error}): start as another user, "
                "or set AI_USAGE_DATABASE_URL"
            ) from error
        return pwd.getpwnam(_SYSTEM_USER)

    def _open_path_for(self, user: pwd.struct_passwd) -> None:
        """Let ``user`` reach the data and the binaries: pass through the folders above, read the binaries."""
        for target in (self.pgdata, self.binaries.resolve()):
            for folder in target.parents:
                mode = folder.stat()
                if mode.st_uid != user.pw_uid and not mode.st_mode & stat.S_IXOTH:
                    logger.info(
                        "letting other users pass through %s, so that PostgreSQL can run as %s", folder, user.pw_name
                    )
                    folder.chmod(stat.S_IMODE(mode.st_mode) | stat.S_IXOTH)
        if not (self.binaries / "postgres").stat().st_mode & stat.S_IXOTH:
            for path in (self.binaries.parent, *self.binaries.parent.rglob("*")):
                if not path.is_symlink():
                    mode_bits = stat.S_IMODE(path.stat().st_mode)
                    path.chmod(mode_bits | stat.S_IROTH | (stat.S_IXOTH if mode_bits & stat.S_IXUSR else 0))

    def _run(self, program: str, *arguments: str) -> None:
        user = self._user()
        # No pipes: the server inherits them from pg_ctl and would keep them open for ever.
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.run(  # noqa: S603 - a binary of an installed wheel, no shell
                [str(self.binaries / program), *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False,
                user=user.pw_uid if user else None, group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
                env={**os.environ, "LC_ALL": "C", "HOME": user.pw_dir} if user else {**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
            output.seek(0)
            text = output.read().strip()
        if process.returncode != 0:
            if program == "pg_ctl":
                text = f"{text}\n{self._log_tail()}"
            raise PermanentError(f"embedded PostgreSQL: {program} failed in {self.pgdata}: {text}")


def _is_postgres(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return sys.platform != "linux"  # elsewhere there is no /proc to ask
    return b"postgres" in command.split(b"\0", 1)[0] and status.rpartition(")")[2].split()[0] != "Z"


def _quoted(value: str) -> str:
    """Quote for the shell that pg_ctl passes its options through."""
    return "'" + value.replace("'", "'\\''") + "'"


def major_version(binaries: Path) -> int:
    # Read from the installation, not asked of the binary: as root the binary may not be runnable yet.
    for header in (binaries.parent / "include").glob("**/pg_config.h"):
        for line in header.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("#define PG_MAJORVERSION_NUM"):
                return int(line.split()[-1])
    version = subprocess.run(  # noqa: S603 - a binary of an installed wheel
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(version.split()[-1].split(".")[0].rstrip("abcdefghijklmnopqrstuvwxyz"))
