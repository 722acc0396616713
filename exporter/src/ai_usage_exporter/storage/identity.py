"""Who a person is in stored usage: ids, names as sent and addresses; and texts without them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ai_usage_exporter.storage.row import to_user_id
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from ai_usage_exporter.storage.connection import DatabaseConnection

ERASED: Final = "[erased]"
SHORTEST_IN_TEXT: Final = 4
"""Shorter identifiers are erased where they are a whole value; inside a text they would hit anything."""


class Identity(NamedTuple):
    """Hold every way a person is written in stored usage; ``emails`` in lower case, ``spellings`` as found."""

    user_ids: frozenset[UUID]
    user_refs: frozenset[str]
    emails: frozenset[str]
    spellings: frozenset[str]

    @property
    def user_keys(self) -> list[str]:
        """Return the keys the person's sums are kept under."""
        return sorted({*(str(user_id) for user_id in self.user_ids), *self.user_refs})

    @property
    def texts(self) -> list[str]:
        """Return every text that names the person, longest first."""
        found = {*self.user_keys, *self.emails, *self.spellings}
        return sorted((text for text in found if text.strip()), key=lambda text: (-len(text), text))


async def find_identity(connection: DatabaseConnection, subject: str) -> Identity:
    """Return the identity of ``subject``: a user's id, a user as sent, or an address.

    Calls tie the ways together: an address on a user's calls belongs to the user when nobody else's calls carry it, a
    user on an address's calls belongs to the address when none of the user's calls carries another. What is shared
    (a service account, a team's address) is never taken for the person.
    """
    subject = subject.strip()
    user_id = to_user_id(subject)
    ids = {user_id} if user_id is not None else set()
    refs, emails = {subject}, {subject.lower()} if "@" in subject else set()
    spellings = {subject}
    for known_id, address in await _host_users(connection, ids, emails):
        ids.add(known_id)
        if address:
            emails.add(address.lower())
            spellings.add(address)
    rows = await _on_calls(connection, ids, refs, emails)
    for row in rows:
        if row["user_email"] is not None and row["user_email"].lower() in emails:
            spellings.add(row["user_email"])
        if row["user_ref"] is not None and row["user_ref"].lower() in emails:
            refs.add(row["user_ref"])
    theirs = {_key(row) for row in rows if _is_one_of(row, ids, refs)}
    new_emails = {row["user_email"].lower() for row in rows if _key(row) in theirs and row["user_email"]} - emails
    new_keys = {(row["user_id"], row["user_ref"]) for row in rows if _key(row) not in theirs and _key(row) is not None}
    for address in sorted(new_emails):
        others = await _on_calls(connection, set(), set(), {address})
        if {_key(row) for row in others} <= {*theirs, None}:
            emails.add(address)
            spellings.update(row["user_email"] for row in others if row["user_email"])
    for other_id, other_ref in new_keys:
        others = await _on_calls(
            connection,
            {other_id} if other_id else set(),
            {other_ref} if other_id is None and other_ref else set(),
            set(),
        )
        if {row["user_email"].lower() for row in others if row["user_email"]} <= emails:
            ids.update([other_id] if other_id else [])
            refs.update([other_ref] if other_id is None and other_ref else [])
    return Identity(frozenset(ids), frozenset(refs), frozenset(emails), frozenset(spellings))


class Eraser:
    """Take the texts that name a person out of values."""

    def __init__(self, identity: Identity) -> None:
        self._whole = {text.lower() for text in identity.texts}
        long = [re.escape(text) for text in identity.texts if len(text) >= SHORTEST_IN_TEXT]
        self._within = re.compile(rf"(?<!\w)(?:{'|'.join(long)})(?!\w)", re.IGNORECASE) if long else None

    def is_name(self, value: object) -> bool:
        """Tell whether a value is nothing but the person's name."""
        return isinstance(value, str | int) and not isinstance(value, bool) and str(value).lower() in self._whole

    def text(self, text: str) -> str:
        """Return a text without the person."""
        if self.is_name(text):
            return ERASED
        return text if self._within is None else self._within.sub(ERASED, text)

    def value(self, value: Any) -> Any:
        """Return a JSON value without the person, in its keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return ERASED if self.is_name(value) else value

    def json(self, text: str) -> str:
        """Return JSON text without the person; as it was when they are not in it."""
        value = json.loads(text)
        cleaned = self.value(value)
        return text if cleaned == value else json.dumps(cleaned, ensure_ascii=False)


async def _host_users(connection: DatabaseConnection, ids: set[UUID], emails: set[str]) -> list[Any]:
    """Return (id, address) of the host application's users; its table may have no addresses."""
    has_email = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'email' "
        "AND NOT attisdropped)"
    )
    if not has_email:
        return []
    return await connection.fetch(
        "SELECT id, email FROM users WHERE id = ANY($1::uuid[]) OR lower(email) = ANY($2::text[])",
        list(ids),
        list(emails),
    )


async def _on_calls(
    connection: DatabaseConnection, ids: Iterable[UUID], refs: Iterable[str], emails: Iterable[str]
) -> list[Any]:
    return await connection.fetch(
        load_statement("identity_of_calls"), list(ids), list(refs), list(emails), timeout=None
    )


def _key(row: Any) -> str | None:
    key: str | None = row["user_ref"] if row["user_id"] is None else str(row["user_id"])
    return key


def _is_one_of(row: Any, ids: set[UUID], refs: set[str]) -> bool:
    return row["user_id"] in ids if row["user_id"] is not None else row["user_ref"] in refs
