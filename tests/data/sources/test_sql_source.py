"""Databases: rows as they are, never a write, never a word of the credentials."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.sources import read_source, source_fingerprint
from omnifuse.data.table import iterate_rows

PASSWORD = "p@ss/w rd"


def _rows(query: str, connection: str, base: Path) -> list[dict[str, Any]]:
    return list(iterate_rows(read_source({"name": "sql", "query": query, "connection": connection}, base)))


def _fault(query: str, connection: str, base: Path) -> str:
    with pytest.raises(OmnifuseError) as caught:
        _rows(query, connection, base)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table item (id integer, name text, price real, picture blob)")
        database.executemany(
            "insert into item values (?, ?, ?, ?)", [(1, "tea", 2.5, b"\x00\xff"), (2, None, None, None), (3, "é", 1, b"")]
        )
    database.close()
    return tmp_path


def test_sqlite_gives_its_rows_as_they_are(shop: Path):
    expected = [
        {"id": 1, "name": "tea", "price": 2.5, "picture": b"\x00\xff"},
        {"id": 2, "name": None, "price": None, "picture": None},
        {"id": 3, "name": "é", "price": 1.0, "picture": b""},
    ]
    assert _rows("select * from item order by id", "sqlite:///shop.db", shop) == expected
    assert _rows("with x as (select id from item) select max(id) as m from x;", f"sqlite:///{shop}/shop.db", Path("/")) == [{"m": 3}]
    assert read_source({"name": "sql", "query": "select id from item where 0", "connection": "sqlite:///shop.db"}, shop).column_names == [
        "id"
    ]


@pytest.mark.parametrize(
    "query",
    [
        "delete from item",
        "drop table item",
        "insert into item values (4, '', 0, null)",
        "create table other (x)",
        "attach 'other.db' as other",
        "pragma journal_mode = wal",
        "select 1; delete from item",
        "vacuum into 'copy.db'",
    ],
)
def test_nothing_is_written(shop: Path, query: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(shop)
    before = (shop / "shop.db").read_bytes()
    message = _fault(query, "sqlite:///shop.db", shop)
    assert "only reads are allowed" in message
    assert (shop / "shop.db").read_bytes() == before
    assert [path.name for path in shop.iterdir()] == ["shop.db"]


@pytest.mark.parametrize(
    ("query", "connection", "reason"),
    [
        ("select * from nowhere", "sqlite:///shop.db", "no such table: nowhere"),
        ("select 1", "sqlite:///no.db", "no such database"),
        ("select id, id from item", "sqlite:///shop.db", 'two columns called "id"'),
        ("select 1", "mysql://user:secret@host/db", "sqlite:///shop.db or postgresql://"),
        ("select 1", "shop.db", "sqlite:///shop.db or postgresql://"),
        ("select 1", "postgresql://user:$NOT_SET_HERE@host/db", "NOT_SET_HERE is not set"),
        ("delete from x", "postgresql://user:secret@127.0.0.1:1/db", "only reads are allowed"),
        ("select 1; select 2", "postgresql://user:secret@127.0.0.1:1/db", "only reads are allowed"),
        ("selec 1 from from", "postgresql://user:secret@127.0.0.1:1/db", "query:"),
        ("select 1", "postgresql://user:secret@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db: the server refuses the connection"),
    ],
)
def test_what_goes_wrong_is_told_without_credentials(shop: Path, query: str, connection: str, reason: str):
    message = _fault(query, connection, shop)
    assert reason in message
    assert "secret" not in message


def _mark_of_rows(query: str, shop: Path) -> str:
    """The fingerprint of an answer; the same words stand for the query, which is part of it too."""
    with sqlite3.connect(shop / "shop.db") as database:
        database.execute("drop view if exists asked")
        database.execute(f"create view asked as {query}")
    database.close()
    return source_fingerprint({"name": "sql", "query": "select * from asked", "connection": "sqlite:///shop.db"}, shop)


def test_the_fingerprint_of_a_query_is_that_of_its_answer_in_any_order(shop: Path):
    def mark(order: str) -> str:
        return source_fingerprint(
            {"name": "sql", "query": f"select id from item order by {order}", "connection": "sqlite:///shop.db"}, shop
        )

    first = mark("id")
    assert mark("id") == first
    with sqlite3.connect(shop / "shop.db") as database:
        database.execute("insert into item values (9, 'x', 0, null)")
    database.close()
    assert mark("id") != first


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of this test's own, where its programs are installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + [Path(p).parent for p in [shutil.which("initdb")] if p]
    if not programs:
        pytest.skip("no PostgreSQL server is installed")
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not below a folder that only the user may enter
    folder.chmod(0o777)
    (folder / "word").write_text(PASSWORD)
    (folder / "word").chmod(0o644)
    user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
    data = str(folder / "data")
    made = subprocess.run(
        [programs[-1] / "initdb", "-D", data, "-U", "omni", "-A", "scram-sha-256", f"--pwfile={folder / 'word'}", "--no-sync"],
        user=user,
        cwd=folder,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip(f"no PostgreSQL server can be made here: {made.stderr.decode()[-200:]}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [programs[-1] / "postgres", "-D", data, "-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-F"]
    running = subprocess.Popen(command, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"postgresql://omni:$PGWORD@127.0.0.1:{port}/postgres"
    finally:
        running.terminate()
        running.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def test_postgresql_gives_rows_and_refuses_writes(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PGWORD", PASSWORD)
    columns = "n as id, 'é' || n as word, case when n > 1 then null else 0.5::float8 end as x, '\\x00ff'::bytea as b"
    query = f"select {columns} from generate_series(1, 2) n"
    assert _rows(query, server, tmp_path) == [
        {"id": 1, "word": "é1", "x": 0.5, "b": b"\x00\xff"},
        {"id": 2, "word": "é2", "x": None, "b": b"\x00\xff"},
    ]
    assert 'relation "nothing" does not exist' in _fault("select * from nothing", server, tmp_path)
    assert _rows("select current_setting('transaction_read_only') as x", server, tmp_path) == [{"x": "on"}]
