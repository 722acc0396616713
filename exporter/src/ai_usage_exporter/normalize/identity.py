"""The id of a row: a function of the span alone, so that a replay always finds its row."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID, SafeUUID

_FIXED = 0x8 << 76 | 0b10 << 62  # version 8, variant of RFC 9562
_HASH_A_MASK = ((1 << 12) - 1) << 64
_HASH_B_MASK = (1 << 62) - 1
_from_bytes = int.from_bytes
_new, _set = object.__new__, object.__setattr__
_new_hasher = blake2b(digest_size=10).copy  # copied faster than made
_UNKNOWN = SafeUUID.unknown  # an enumeration's members are looked up slowly


def row_id(trace_id: bytes, span_id: bytes, start_ns: int) -> UUID:
    """Return a UUIDv8 (RFC 9562): 48 bits of start time in milliseconds, then 74 bits of hash.

    Time comes first so that rows written together lie together in the primary key. The start takes part in the hash:
    ids of 8 bytes repeat, and a restarted emitter with a fixed seed repeats whole traces.
    """
    hasher = _new_hasher()
    hasher.update(trace_id + span_id + start_ns.to_bytes(8))
    hashed = _from_bytes(hasher.digest())
    milliseconds = start_ns // 1_000_000
    # Made by hand: the constructor spends a microsecond on finding out which of its forms is meant.
    made = _new(UUID)
    _set(made, "int", milliseconds << 80 | _FIXED | hashed << 2 & _HASH_A_MASK | hashed & _HASH_B_MASK)
    _set(made, "is_safe", _UNKNOWN)
    return made
