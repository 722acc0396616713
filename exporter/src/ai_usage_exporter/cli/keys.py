"""``ai-usage keys``: who may send spans and who may ask."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import TYPE_CHECKING, Any, Final

import click

from ai_usage_exporter.cli.output import print_json, print_table, say
from ai_usage_exporter.cli.question import open_connection, run
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.keys import Role, hash_token, id_in, label_of, make_key
from ai_usage_exporter.storage import keys as storage
from ai_usage_exporter.storage.audit import command_line_actor

if TYPE_CHECKING:
    from ai_usage_exporter.keys import Key, NewKey

_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24}
_LONGEST_DAYS: Final = 36_500


class _Validity(click.ParamType[timedelta]):
    """Read how long a key is good for: ``90d``, ``12w``, ``8h``."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length."""
        found = re.fullmatch(r"\s*(\d{1,6})\s*([hdw])\s*", str(value).lower())
        length = timedelta(hours=int(found[1]) * _HOURS[found[2]]) if found else timedelta()
        if not timedelta() < length <= timedelta(days=_LONGEST_DAYS):
            self.fail(f"{value!r} is no length: write hours, days or weeks, e.g. 90d (1h to 36500d)", param, ctx)
        return length


@click.group()
def keys() -> None:
    """Make, list and revoke keys: to send spans (ingest), to read usage (viewer), to do everything (admin).

    To replace a key, make a second one, give it to who has the first, and revoke the first when its "last used" stands
    still: any number of keys are good at a time.
    """


@keys.command()
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]), help="What it is for.")
@click.option("--name", required=True, help="Who or what gets it, for lists and the audit trail.")
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME",
    help="Only this service may be sent (ingest) or seen (viewer); repeat for several. [default: all]",
)
@click.option(
    "--rate",
    "spans_per_s",
    type=click.FloatRange(0, 1e9, min_open=True),
    metavar="SPANS",
    help="Spans a second an ingest key may send to one server process. [default: any number]",
)
@click.option("--expires", type=_Validity(), metavar="LENGTH", help="How long it is good for: 90d. [default: for ever]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def create(
    role: str,
    name: str,
    services: tuple[str, ...],
    spans_per_s: float | None,
    expires: timedelta | None,
    *,
    as_json: bool,
) -> None:
    """Make a key and print it to stdout: once, it is not kept.

    Senders use it as OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20<key>' (or 'x-api-key=<key>'), programs that
    ask as Authorization: Bearer, people on the sign-in page. With the first ingest key every sender needs one.
    """
    name = _checked(name, "--name")
    services = tuple(_checked(service, "--service") for service in services)
    if services and role == Role.ADMIN:
        raise click.UsageError("--service: an admin sees every service; make a viewer key")
    if spans_per_s is not None and role != Role.INGEST:
        raise click.UsageError("--rate is for ingest keys: others send nothing")
    if spans_per_s is not None and isnan(spans_per_s):
        raise click.UsageError("--rate is no number: give spans a second, e.g. 500")
    expires_at = datetime.now(UTC) + expires if expires is not None else None
    made, is_first = run(_create(Role(role), name, services, spans_per_s, expires_at))
    if as_json:
        print_json(
            {
                "id": made.id,
                "prefix": label_of(made.id),
                "key": made.token,
                "name": name,
                "role": role,
                "services": sorted(set(services)) or None,
                "spans_per_s": spans_per_s,
                "expires_at": None if expires_at is None else expires_at.isoformat(),
            }
        )
    else:
        click.echo(made.token)
        say(f"The {role} key of {name}. It is shown this once: keep it where secrets are kept.")
    if is_first and role == Role.INGEST:
        say("This is the first ingest key: within seconds, every sender needs one, also on this machine.")


@keys.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked and expired ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(*, everything: bool, as_json: bool) -> None:
    """List keys by what may be shown of them."""
    now = datetime.now(UTC)
    found = [key for key in run(_list()) if everything or key.is_usable(now)]
    if as_json:
        print_json([_document(key, now) for key in found])
        return
    print_table(
        f"{len(found):,} keys",
        ("Key", "Name", "Role", "Services", ">Spans/s", "Created (UTC)", "Expires", "Last used", "State"),
        [
            (
                key.label,
                key.name,
                key.role.value,
                "all" if key.services is None else ", ".join(sorted(key.services)),
                None if key.spans_per_s is None else f"{key.spans_per_s:,g}",
                _time(key.created_at),
                _time(key.expires_at),
                _time(key.last_used_at),
                _state(key, now),
            )
            for key in found
        ],
    )


@keys.command()
@click.argument("key", metavar="KEY")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def revoke(key: str, *, as_json: bool) -> None:
    """Revoke KEY, named by its id, its beginning (aiu_…) or the whole of it; servers refuse it within 5 seconds."""
    key_id = id_in(key)
    if key_id is None:
        raise click.UsageError("KEY is none: give its id or beginning, as ai-usage keys list shows it")
    revoked_at = run(_revoke(key_id))
    if revoked_at is None:
        raise PermanentError(f"no key {label_of(key_id)} to revoke: see ai-usage keys list --all")
    if as_json:
        print_json({"id": key_id, "prefix": label_of(key_id), "revoked_at": revoked_at.isoformat()})
    else:
        say(f"Revoked {label_of(key_id)}.")


async def _create(
    role: Role, name: str, services: tuple[str, ...], spans_per_s: float | None, expires_at: datetime | None
) -> tuple[NewKey, bool]:
    made = make_key()
    async with open_connection() as connection:
        is_first = not any(key.role is role for key in await storage.load_keys(connection))
        await storage.add_key(
            connection,
            command_line_actor(),
            key_id=made.id,
            token_hash=hash_token(made.token),
            name=name,
            role=role,
            services=services or None,
            spans_per_s=spans_per_s,
            expires_at=expires_at,
        )
    return made, is_first


async def _list() -> list[Key]:
    async with open_connection() as connection:
        return await storage.load_keys(connection)


async def _revoke(key_id: str) -> datetime | None:
    async with open_connection() as connection:
        return await storage.revoke_key(connection, command_line_actor(), key_id)


def _checked(text: str, option: str) -> str:
    text = text.strip()
    if not text or not text.isprintable() or len(text) > 200:
        raise click.UsageError(f"{option} is {text[:40]!r}: give 1 to 200 printable characters")
    return text


def _document(key: Key, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "prefix": key.label,
        "name": key.name,
        "role": key.role.value,
        "services": None if key.services is None else sorted(key.services),
        "spans_per_s": key.spans_per_s,
        "created_at": key.created_at.isoformat(),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(),
        "last_used_at": None if key.last_used_at is None else key.last_used_at.isoformat(),
        "state": _state(key, now),
    }


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "usable" if key.is_usable(now) else "expired"


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
