"""``ai-usage users``: erase a person from stored usage, and give calls to users who came after them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ai_usage_exporter.cli.output import print_json, print_table, progress, say
from ai_usage_exporter.cli.question import open_connection, run
from ai_usage_exporter.storage import erase as storage
from ai_usage_exporter.storage import link as linking
from ai_usage_exporter.storage.audit import command_line_actor
from ai_usage_exporter.storage.identity import find_identity

if TYPE_CHECKING:
    from ai_usage_exporter.storage.erase import Erased
    from ai_usage_exporter.storage.identity import Identity
    from ai_usage_exporter.storage.link import Late, Linked


@click.group()
def users() -> None:
    """Erase users, and find the calls of new ones."""


@users.command("erase")
@click.argument("user", metavar="USER")
@click.option("--dry-run", is_flag=True, help="Show under which names the user is found and change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def erase(user: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Erase USER (an id, a name as sent, or an e-mail address) and keep every sum.

    Ids, names, addresses and sessions are taken off calls, shadow spans, what is in the quarantine and the sums by
    user; metadata and error messages lose every mention. Calls, tokens and costs stay. The audit trail names the
    user by a hash only. Your own users table, trace backends and backups are not touched.
    """
    if not user.strip() or not user.isprintable():
        raise click.UsageError(f"USER is {user!r}: give an id, a name as sent, or an e-mail address")
    identity, erased = run(_erase(user, dry_run=dry_run, ask=not yes and sys.stdin.isatty(), quiet=as_json))
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "user_ids": sorted(str(user_id) for user_id in identity.user_ids),
                "user_refs": sorted(identity.user_refs),
                "emails": sorted(identity.emails),
                "erased": None if erased is None else erased._asdict(),
                "audit_subject": storage.subject_hash(user),
            }
        )
    elif erased is not None:
        say(
            f"Erased from {erased.calls:,} calls, the texts of {erased.texts:,} others, {erased.shadows:,} shadow "
            f"spans and {erased.quarantined:,} parked spans. In the audit trail: {storage.subject_hash(user)}"
        )


@users.command("link")
@click.option("--dry-run", is_flag=True, help="Show whose calls there are and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def link(*, dry_run: bool, as_json: bool) -> None:
    """Give calls that came before their user was created to the user.

    A call that names a user by an id which is not in the users table keeps it as text. Once the user is there, this
    ties such calls to the user, with every sum exact. It can be run at any time, and again.
    """
    late, linked = run(_link(dry_run=dry_run))
    if as_json:
        found = [{"user_id": str(user.user_id), "calls": user.calls} for user in late]
        print_json({"dry_run": dry_run, "found": found, "linked": None if linked is None else linked._asdict()})
    elif linked is not None:
        say(f"Given to {linked.users:,} users: {linked.calls:,} calls and {linked.shadows:,} shadow spans.")
    else:
        print_table(
            "Calls to give to users", ("User", ">Calls"), [(str(user.user_id), f"{user.calls:,}") for user in late]
        )


async def _link(*, dry_run: bool) -> tuple[list[Late], Linked | None]:
    async with open_connection() as connection:
        with progress("Looking for users") as show:
            late = await linking.find_late(connection)
            if dry_run:
                return late, None
            linked = await linking.link(
                connection,
                late,
                actor=command_line_actor(),
                on_progress=lambda given: show(f"Giving to users: {given:,} calls"),
            )
        return late, linked


async def _erase(user: str, *, dry_run: bool, ask: bool, quiet: bool) -> tuple[Identity, Erased | None]:
    async with open_connection() as connection:
        with progress("Looking for the user"):
            identity = await find_identity(connection, user)
        if not quiet:
            print_table(
                "The user is known as",
                ("What", "Value"),
                [
                    *(("id", user_id) for user_id in sorted(map(str, identity.user_ids))),
                    *(("as sent", ref) for ref in sorted(identity.user_refs)),
                    *(("e-mail", address) for address in sorted(identity.emails)),
                ],
            )
        if dry_run:
            return identity, None
        if ask:
            click.confirm("Erase? This cannot be undone", abort=True, err=True)
        with progress("Erasing") as show:
            erased = await storage.erase(
                connection,
                identity,
                subject=user,
                actor=command_line_actor(),
                on_progress=lambda found: show(f"Erasing: {found:,} calls"),
            )
        return identity, erased
