"""Rows of a query: SQLite and PostgreSQL, read-only, and without a word of the credentials in any message."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from omnifuse.core.errors import OmnifuseError, first_line
from omnifuse.data.fetch import BadValue, check_host, shown
from omnifuse.data.sources.config import SqlSourceConfig
from omnifuse.data.sources.objects import read_object
from omnifuse.data.sources.places import VARIABLE, expand
from omnifuse.data.table import Table

READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
POSTGRES = ("postgresql", "postgres")


def read(config: SqlSourceConfig, base: Path) -> Table:
    """Open a query; SQLite is streamed, the answer of PostgreSQL comes whole and must fit into memory.

    Raises:
        OmnifuseError: no such database, another kind of it, or a query that fails or would write.
    """
    file = database_file(config, base)
    return _sqlite(file, config.query) if file else _postgres(config)


def database_file(config: SqlSourceConfig, base: Path) -> Path | None:
    """The file of an SQLite database; `None` for PostgreSQL."""
    scheme, _, rest = config.connection.partition("://")
    if VARIABLE.fullmatch(config.connection):
        scheme, _, rest = expand(config.connection).partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return base / expand(rest[1:])
    if scheme in POSTGRES:
        return None
    raise OmnifuseError("connection: give one such as sqlite:///shop.db or postgresql://user:$PGPASSWORD@host/db")


def _sqlite(file: Path, query: str) -> Table:
    if not file.is_file():
        raise OmnifuseError(f"{file}: no such database")

    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(file.resolve()))}?mode=ro", uri=True)
        connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in READS else sqlite3.SQLITE_DENY)
        return connection

    def rows() -> Iterator[dict[str, Any]]:
        try:
            with closing(opened()) as connection:
                cursor = connection.execute(query)
                names = _names(cursor)
                yield from (dict(zip(names, row, strict=True)) for row in cursor)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _fault(file, error) from None

    try:
        with closing(opened()) as connection:
            names = _names(connection.execute(query))
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _fault(file, error) from None
    return Table(names, rows)


def _names(cursor: sqlite3.Cursor) -> list[str]:
    names = [column[0] for column in cursor.description or ()]
    if not names:
        raise OmnifuseError("query: gives no rows; a SELECT is needed")
    for name in names:
        if names.count(name) > 1:
            raise OmnifuseError(f'query: gives two columns called "{name}"; name one of them otherwise with AS')
    return names


def _fault(file: Path, error: Exception) -> OmnifuseError:
    words = " ".join(str(error).split())[:160]
    if any(mark in words for mark in ("not authorized", "authorization denied", "prohibited", "one statement")):
        return OmnifuseError(f"query: only reads are allowed; a single SELECT is needed ({words})")
    return OmnifuseError(f"{file}: the query fails ({words})")


def _postgres(config: SqlSourceConfig) -> Table:
    try:
        _quiet_driver()
        import daft
        import sqlglot.errors
        import sqlglot.expressions
    except ImportError as error:
        raise OmnifuseError(f"connection: reading PostgreSQL needs {error.name}; pip install 'omnifuse[sql]'") from None
    try:
        statements = [each for each in sqlglot.parse(config.query, read="postgres") if each is not None]
    except sqlglot.errors.SqlglotError as error:
        raise OmnifuseError(f"query: cannot be read ({first_line(error)})") from None
    if len(statements) != 1 or not isinstance(statements[0], sqlglot.expressions.Query):
        raise OmnifuseError("query: only reads are allowed; a single SELECT is needed")
    connection = _read_only(_filled(config.connection))
    _check_reachable(connection)
    try:
        return read_object(daft.read_sql(config.query.strip().rstrip(";"), connection).to_arrow())
    except BaseException as error:  # panics of the driver are not even exceptions
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise OmnifuseError(f"{shown(connection)}: the query fails ({_without_secrets(str(error), connection)})") from None


def _quiet_driver() -> None:
    """Import the driver with its log off: it prints failed log-ins, with the user, on its own."""
    before = os.environ.get("RUST_LOG")
    os.environ["RUST_LOG"] = "off"
    try:
        import connectorx  # noqa: F401
    finally:
        os.environ.pop("RUST_LOG")
        if before is not None:
            os.environ["RUST_LOG"] = before


def _check_reachable(connection: str) -> None:
    """The driver tries for half a minute before it says that nobody is there."""
    parts = urlsplit(connection)
    try:
        if parts.hostname and "host=" not in parts.query:
            check_host(parts.hostname, parts.port or 5432)
    except (BadValue, ValueError) as error:
        raise OmnifuseError(f"{shown(connection)}: {error}") from None


def _filled(connection: str) -> str:
    """Variables filled in; inside of an address they are quoted, for a password may hold any character."""
    if VARIABLE.fullmatch(connection):
        return expand(connection)
    return expand(connection, lambda value: quote(value, safe=""))


def _read_only(connection: str) -> str:
    """The same connection, whose transactions may not write."""
    parts = urlsplit(connection)
    options = dict(parse_qsl(parts.query))
    options["options"] = f"{options.get('options', '')} -c default_transaction_read_only=on".strip()
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(options, quote_via=quote), ""))


def _without_secrets(words: str, connection: str) -> str:
    """The message of a driver, which may repeat the connection."""
    words = re.sub(r"\w+://\S+", "…", " ".join(words.split()))
    secrets = [part for part in (urlsplit(connection).password, urlsplit(connection).username) if part]
    for secret in secrets:
        for spelling in {secret, unquote(secret)}:
            words = words.replace(spelling, "…") if len(spelling) > 2 else words
    told = re.search(r"(ERROR|FATAL): .*", words)  # what the server says, behind what the driver says
    return (told.group() if told else words)[:200]
