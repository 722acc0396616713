"""Settings: every ``AI_USAGE_…`` variable, read once, checked as a whole. The only reader of the environment."""

from __future__ import annotations

import difflib
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from pydantic import (  # SecretStr is needed at run time: pydantic reads the annotations
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,  # noqa: TC002
    ValidationError,
)

from ai_usage_exporter.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "AI_USAGE_"
_MIB: Final = 1024 * 1024
_LONGEST_RETENTION_DAYS: Final = 36_500

# Read by ai_usage inside apps; a shell that exports them for an app must still be able to start the server.
_APP_SIDE_PREFIXES: Final = ("AI_USAGE_APP_", "AI_USAGE_INSTRUMENTATION_")


class Address(NamedTuple):
    """Hold a host and a port to listen on; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach the address."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")


def parse_address(value: object) -> Address:
    """Read ``host:port`` (IPv6 in brackets). Raises ``ValueError`` naming what is wrong."""
    if isinstance(value, Address):
        return value
    host, colon, port = str(value).rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{value!r} is no address: write host:port, e.g. 127.0.0.1:4317 (port 0 chooses a free one)")
    return Address(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - ":4317" means every interface, as in Go


def parse_retention(value: object) -> timedelta:
    """Read a length of time in days or weeks. Raises ``ValueError`` naming what is wrong."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"\s*(\d{1,6})\s*([dw])\s*", str(value).lower())
    days = int(found[1]) * (7 if found[2] == "w" else 1) if found else 0
    if not 1 <= days <= _LONGEST_RETENTION_DAYS:
        raise ValueError(f"{value!r} is no retention: write days or weeks, e.g. 400d (1d to 36500d)")
    return timedelta(days=days)


def parse_wait(value: object) -> object:
    """Read ``forever`` as ``None``; everything else is left to be read as a number."""
    return None if str(value).strip().lower() == "forever" else value


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


ListenAddress = Annotated[Address, BeforeValidator(parse_address)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
WaitTime = Annotated[Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(parse_wait)]


class Settings(BaseModel):
    """Hold every setting of the server; the variable's name is the field's, in capitals, behind ``AI_USAGE_``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database_url: SecretStr | None = Field(
        None, description="PostgreSQL to use; else DATABASE_URL, else an embedded PostgreSQL in AI_USAGE_DATA_DIR"
    )
    query_database_url: SecretStr | None = Field(
        None, description="Login of the query API on the same database, which may only read; else as the receiver"
    )
    data_dir: AbsolutePath = Field(
        Path("~/.local/share/ai-usage"), validate_default=True, description="Where the embedded PostgreSQL lives"
    )
    database_wait: WaitTime = Field(
        15, description="How long to wait at start for a database that cannot be reached, seconds, or forever"
    )
    otlp_grpc_listen: ListenAddress = Field(Address("127.0.0.1", 4317), description="OTLP over gRPC")
    otlp_http_listen: ListenAddress = Field(Address("127.0.0.1", 4318), description="OTLP over HTTP, /v1/traces")
    api_listen: ListenAddress = Field(Address("127.0.0.1", 8080), description="Query API, admin page, health, metrics")
    admin_token: SecretStr | None = Field(
        None, min_length=16, description="Token of the admin API and page; made up and printed at start when not set"
    )
    tls_cert: AbsolutePath | None = Field(
        None, description="Certificate chain of every listener, a PEM file; read again when it is replaced"
    )
    tls_key: AbsolutePath | None = Field(None, description="Private key of the certificate, a PEM file")
    tls_client_ca: AbsolutePath | None = Field(
        None, description="Clients of every listener need a certificate of this CA, a PEM file"
    )
    ready_file: AbsolutePath | None = Field(
        None, description="Written as JSON (addresses, admin_token, database_url) once everything is ready"
    )
    prices_file: AbsolutePath | None = Field(
        None, description="Own prices, TOML or JSON; prices in the database win over them, they over shipped ones"
    )
    price_data_file: AbsolutePath | None = Field(
        None, description="The data.json of genai-prices to use instead of the one shipped with the package"
    )
    workers: int = Field(
        1, ge=1, le=64, description="Receiver processes on the same ports, for more than one core of Python"
    )
    retention: Annotated[timedelta, BeforeValidator(parse_retention)] | None = Field(
        None, description="Drop rows older than this, whole months at a time, e.g. 400d; their sums stay"
    )
    max_request_bytes: int = Field(
        64 * _MIB, ge=1024, description="Largest OTLP request, before and after decompression, bytes"
    )
    max_gzip_ratio: int = Field(
        200, ge=1, description="How many times larger than sent a gzip body over 1 MiB may become"
    )
    max_spans: int = Field(131_072, ge=1, description="Most spans in one OTLP request")
    max_attributes: int = Field(
        1_024, ge=16, description="Most attributes of one span; a span with more is kept in quarantine"
    )
    max_value_bytes: int = Field(
        _MIB,
        ge=256,
        description="Longest attribute value; a longer one is cut and its span counted all the same, bytes",
    )
    max_concurrent_requests: int = Field(
        1_024, ge=1, description="OTLP requests worked on at once; more are told to try again"
    )
    memory_budget: int = Field(
        256 * _MIB, ge=_MIB, description="OTLP requests worked on at once, bytes after decompression"
    )
    http_header_timeout: float = Field(
        10, gt=0, allow_inf_nan=False, description="How long a request's headers may take to arrive, seconds"
    )
    http_body_timeout: float = Field(
        60, gt=0, allow_inf_nan=False, description="How long a request's body may take to arrive, seconds"
    )
    http_idle_timeout: float = Field(
        75, gt=0, allow_inf_nan=False, description="How long a connection may stay without a request, seconds"
    )
    log_level: Annotated[str, AfterValidator(str.upper)] = Field(
        "INFO", pattern="(?i)^(debug|info|warning|error)$", description="debug, info, warning or error"
    )
    shutdown_delay: float = Field(
        0,
        ge=0,
        allow_inf_nan=False,
        description="How long the server says it is not ready before it stops accepting, seconds",
    )
    shutdown_grace: float = Field(
        10, ge=0, allow_inf_nan=False, description="How long requests in flight may take after SIGTERM, seconds"
    )


def load_settings(environ: Mapping[str, str] | None = None, /, **overrides: object) -> Settings:
    """Read the settings from the environment; ``overrides`` (command-line options) win.

    Raises ``PermanentError`` that lists every problem at once: unknown ``AI_USAGE_…`` variables with the nearest
    valid name, and values that cannot be read.
    """
    environ = os.environ if environ is None else environ
    problems = [_unknown(name) for name in sorted(environ) if _is_unknown(name)]
    values: dict[str, object] = {
        field: environ[name] for field in Settings.model_fields if environ.get(name := PREFIX + field.upper())
    }
    if "database_url" not in values and environ.get("DATABASE_URL"):
        values["database_url"] = environ["DATABASE_URL"]
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [_invalid(problem["loc"], problem["msg"]) for problem in error.errors()]
        raise PermanentError("\n".join(problems)) from None
    if problems:
        raise PermanentError("\n".join(problems))
    return settings


def setting_names() -> list[str]:
    """Return the names of all variables, in order of declaration."""
    return [PREFIX + name.upper() for name in Settings.model_fields]


def _is_unknown(name: str) -> bool:
    return name.startswith(PREFIX) and name not in setting_names() and not name.startswith(_APP_SIDE_PREFIXES)


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name, setting_names(), n=1, cutoff=0.0)
    return f"unknown setting {name}: did you mean {nearest[0]}?"


def _invalid(location: tuple[int | str, ...], message: str) -> str:
    name = PREFIX + str(location[0]).upper() if location else "settings"
    return f"{name}: {message.removeprefix('Value error, ')}"
