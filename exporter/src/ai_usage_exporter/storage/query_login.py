"""The login that questions are asked with: it reads usage, and can neither change anything nor see keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.storage.pool import QUERY_URL_SETTING, URL_SETTING, connect, describe
from ai_usage_exporter.storage.statement import load_statement

if TYPE_CHECKING:
    from ai_usage_exporter.storage.connection import DatabaseConnection


async def confine_queries(connection: DatabaseConnection, url: str) -> None:
    """Let the login of ``url`` read usage, and hold it to that; ``connection`` is the tables' owner's.

    Raises ``PermanentError`` when it is a login for another database, or may do more: a wall that does not stand is
    not to be believed in. Control D7 of the threats.
    """
    asking = await connect(url, setting=QUERY_URL_SETTING)
    try:
        login = await asking.fetchval("SELECT current_user")
        place = load_statement("query_login_place")
        if await asking.fetchval(place) != await connection.fetchval(place):
            raise PermanentError(
                f"{QUERY_URL_SETTING}: {describe(url)} is another database than {URL_SETTING}: use another login on "
                "the same one"
            )
        grant = await connection.fetchval(load_statement("query_login_grant"), login)
        try:
            await connection.execute(grant)
        except asyncpg.InsufficientPrivilegeError:
            raise PermanentError(
                f"{QUERY_URL_SETTING}: {login} may not be let read by this login; have the tables' owner run: {grant}"
            ) from None
        excess = [row["excess"] for row in await asking.fetch(load_statement("query_login_excess"))]
        if excess:
            more = " and more" if excess[3:] else ""
            raise PermanentError(
                f"{QUERY_URL_SETTING}: {login} may {', '.join(excess[:3])}{more}: use a login that owns no tables and "
                "was granted nothing else"
            )
    finally:
        await asking.close()
