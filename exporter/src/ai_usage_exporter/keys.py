"""Keys: who may send spans and who may ask. A key is shown once; what is kept of it lets nobody in."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

MAX_TOKEN_LENGTH: Final = 512
"""Longer ones are refused unseen: nobody may make the server hash megabytes."""

_ID_ALPHABET: Final = string.digits + string.ascii_lowercase
_ID_LENGTH: Final = 12
_SECRET_ALPHABET: Final = string.digits + string.ascii_letters
_SECRET_LENGTH: Final = 43
"""Of 62 characters each: 256 bits."""
_LABEL: Final = re.compile(r"(?:aiu_)?([0-9a-z]{12})(?:_[0-9A-Za-z]*)?")


class Role(StrEnum):
    """Name what a key is for.

    An ingest key sends spans and sees nothing; a viewer reads usage; an admin everything. The first two perhaps of
    some services only.
    """

    INGEST = "ingest"
    VIEWER = "viewer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """Hold what is known of a key; ``services`` and ``spans_per_s`` are ``None`` where nothing limits it."""

    id: str
    name: str
    role: Role
    token_hash: bytes
    services: frozenset[str] | None
    spans_per_s: float | None
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def label(self) -> str:
        """Return the part of the key that people may see."""
        return label_of(self.id)

    def is_usable(self, now: datetime) -> bool:
        """Tell whether it lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class NewKey(NamedTuple):
    """Hold a key's id and the key itself, ``aiu_<id>_<secret>``: a form that scanners for leaked secrets can find."""

    id: str
    token: str


def make_key() -> NewKey:
    """Make up a key with a secret of 256 random bits."""
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    secret = "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(_SECRET_LENGTH))
    return NewKey(key_id, f"{label_of(key_id)}_{secret}")


def label_of(key_id: str) -> str:
    """Return the beginning of a key: what is shown of it."""
    return f"aiu_{key_id}"


def id_in(text: str) -> str | None:
    """Return the id in what a person gives for a key: the id, its label, or the whole key; ``None`` when it is none."""
    found = _LABEL.fullmatch(text.strip())
    return found[1] if found else None


def hash_token(token: str) -> bytes:
    """Return the SHA-256 that is stored for a key. No salt: what is hashed is as random as a salt would be."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
