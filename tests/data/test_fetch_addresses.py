"""Addresses that a table names: read from real servers of this machine, refused where they lead elsewhere or never end."""

from __future__ import annotations

import gzip
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch import BadValue, download, fetch, is_address, shown, stamp
from omnifuse.data.fetch.web import _is_private

LIMIT = 100_000
BODY = bytes(range(256)) * 40
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server(http.server.ThreadingHTTPServer):
    """Answers by the first step of the path."""

    daemon_threads = True
    answers: dict[str, Answer]
    seen: list[tuple[str, str]]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        step = self.path.split("/")[1].split("?")[0]
        self.server.seen.append((self.path, self.headers.get("Authorization", "")))
        try:
            self.server.answers[step](self)
        except OSError:
            return

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        return


def _send(handler: http.server.BaseHTTPRequestHandler, body: bytes, code: int = 200, **headers: str) -> None:
    handler.send_response(code)
    for name, value in {"Content-Length": str(len(body)), **{n.replace("_", "-"): v for n, v in headers.items()}}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command == "GET":
        handler.wfile.write(body)


def _endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(65536))


def _drip(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        time.sleep(0.1)


def _drip_head(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(100):
        handler.wfile.write(b"x")
        time.sleep(0.1)


def _short(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "20000")
    handler.end_headers()
    handler.wfile.write(BODY)


def _lying(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n" + BODY)


def _to(place: str) -> Answer:
    return lambda handler: _send(handler, b"", 302, Location=place)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        failures = iter([503, 429])
        running.seen = []
        running.answers = {
            "ok": lambda handler: _send(handler, BODY, ETag='"1"'),
            "no-length": lambda handler: (handler.send_response(200), handler.end_headers(), handler.wfile.write(BODY))[0],
            "empty": lambda handler: _send(handler, b""),
            "gone": lambda handler: _send(handler, b"secret words of the server", 404),
            "busy": lambda handler: _send(handler, BODY, next(failures, 200)),
            "down": lambda handler: _send(handler, b"", 503),
            "packed": lambda handler: _send(handler, gzip.compress(BODY), Content_Encoding="gzip"),
            "large": lambda handler: _send(handler, b"", Content_Length=str(10**12)),
            "endless": _endless,
            "drip": _drip,
            "drip-head": _drip_head,
            "short": _short,
            "lying": _lying,
            "nonsense": lambda handler: handler.wfile.write(b"\x00\xff nonsense\r\n\r\n"),
            "moved": _to("/ok/elsewhere"),
            "round": _to("/round"),
            "to-file": _to("file:///etc/hostname"),
            "to-ftp": _to("ftp://127.0.0.1/a"),
            "to-data": _to("data:text/plain,x"),
            "to-s3": _to("s3://bucket/key"),
        }
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def _address(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/{path}"


def _get(server: Server, path: str, deadline_s: float = 20) -> bytes:
    return fetch(_address(server, path), Path("/nowhere"), LIMIT, allow_private=True, deadline_s=deadline_s)


def _fault(server: Server, path: str, deadline_s: float = 20) -> str:
    with pytest.raises(BadValue) as caught:
        _get(server, path, deadline_s)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", ["ok/a.png", "ok/a b ü.png?size=1 2&ü", "no-length", "moved", "busy"])
def test_an_address_is_read(server: Server, path: str):
    assert _get(server, path) == BODY


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("empty", "the file is empty"),
        ("gone", "the server answers 404"),
        ("down", "the server answers 503"),
        ("packed", "packs its answer"),
        ("large", "1000000.0 MB is over the limit"),
        ("endless", "is over the limit of 0.1 MB"),
        ("short", "broke off after 10240 of 20000 bytes"),
        ("nonsense", "not valid"),
        ("round", "redirects too often"),
        ("to-file", "not http or https"),
        ("to-ftp", "not http or https"),
        ("to-data", "not http or https"),
        ("to-s3", "not http or https"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(server: Server, path: str, reason: str):
    message = _fault(server, f"{path}?token=hidden")
    assert reason in message
    assert "hidden" not in message
    assert "secret" not in message


def test_no_more_is_read_than_the_server_promised(server: Server):
    assert _get(server, "lying") == BODY[:10]


@pytest.mark.parametrize("path", ["drip", "drip-head"])
def test_what_drips_is_given_up_at_the_deadline(server: Server, path: str):
    start = time.monotonic()
    assert "not read within" in _fault(server, path, deadline_s=0.5)
    assert time.monotonic() - start < 3


def test_an_endless_body_is_stopped_in_little_memory(server: Server):
    tracemalloc.start()
    with pytest.raises(BadValue):
        fetch(_address(server, "endless"), Path(), 5_000_000, allow_private=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16_000_000


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "127.1"])
def test_this_machine_may_not_be_named_by_a_table(server: Server, host: str):
    before = len(server.seen)
    with pytest.raises(BadValue, match=r"this machine or a private network|no such host|refuses"):
        fetch(f"http://{host}:{server.server_address[1]}/ok", Path(), LIMIT)
    assert len(server.seen) == before


@pytest.mark.parametrize(
    ("place", "inside"),
    [
        ("10.0.0.1", True),
        ("172.16.9.9", True),
        ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("224.0.0.1", True),
        ("fe80::1%eth0", True),
        ("fc00::1", True),
        ("64:ff9b::7f00:1", True),
        ("2002:7f00:1::", True),
        ("1.1.1.1", False),
        ("2606:4700::1111", False),
        ("64:ff9b::101:101", False),
    ],
)
def test_which_numbers_are_inside(place: str, inside: bool):
    assert _is_private(place) is inside


def test_a_redirect_from_outside_to_inside_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch):
    """A name that first leads outside stands for the outside: only its look-up is replaced, the connections are real."""
    real = socket.create_connection
    inside = _address(server, "ok")
    server.answers["to-inside"] = _to(inside)
    port = server.server_address[1]
    look_up = socket.getaddrinfo

    def resolve(host: str, *args: object, **options: object) -> object:
        if host == "outside.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", port))]
        return look_up(host, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(
        socket, "create_connection", lambda place, *a, **o: real(("127.0.0.1", port) if place[0] == "1.1.1.1" else place, *a, **o)
    )
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert fetch(f"http://outside.example:{port}/ok", Path(), LIMIT) == BODY
    before = len(server.seen)
    with pytest.raises(BadValue, match="private network"):
        fetch(f"http://outside.example:{port}/to-inside", Path(), LIMIT)
    assert [path for path, _ in server.seen[before:]] == ["/to-inside"]


def test_credentials_go_to_their_host_only_and_show_nowhere(server: Server, tmp_path: Path):
    other = Server(("127.0.0.1", 0), Handler)
    other.seen, other.answers = [], {"ok": lambda handler: _send(handler, BODY)}
    threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.answers["to-other"] = _to(_address(other, "ok"))
    address = _address(server, "to-other?key=hidden").replace("http://", "http://user:p%40ss@")
    assert fetch(address, Path(), LIMIT, allow_private=True) == BODY
    assert server.seen[-1][1] == "Basic dXNlcjpwQHNz"
    assert other.seen == [("/ok", "")]
    other.shutdown()
    other.server_close()
    with pytest.raises(OmnifuseError) as caught:
        download(address.replace("to-other", "gone"), tmp_path / "a", LIMIT)
    assert str(caught.value) == f"{_address(server, 'gone')}: the server answers 404"


def test_what_is_shown_of_an_address():
    assert shown("https://u:p@host:8/a/b.png?x=1#y") == "https://host:8/a/b.png"
    assert shown("https://host?x=@y/z") == "https://host"
    assert shown("pictures/a?b#c@d.png") == "pictures/a?b#c@d.png"
    assert is_address("s3://bucket/a")
    assert not is_address("C:/a")


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/hostname",
        "ftp://host/a",
        "gopher://host/",
        "http://",
        "http:///a",
        "https://[bad",
        "http://host:port/",
        "jar://a",
        "://x",
    ],
)
def test_other_addresses_are_not_fetched(address: str):
    with pytest.raises(BadValue, match=r"not fetched|not a valid address"):
        fetch(address, Path(), LIMIT)


def test_nobody_listens(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(BadValue, match="refuses the connection"):
        fetch(f"http://127.0.0.1:{port}/a", tmp_path, LIMIT, allow_private=True)


def test_a_recipe_may_name_a_private_address_and_its_stamp_tells_versions(server: Server, tmp_path: Path):
    download(_address(server, "ok"), tmp_path / "a", LIMIT)
    assert (tmp_path / "a").read_bytes() == BODY
    first = stamp(_address(server, "ok"))
    assert first == stamp(_address(server, "ok")) != ""
    server.answers["ok2"] = lambda handler: _send(handler, BODY, ETag='"2"')
    assert stamp(_address(server, "ok2")) != first


def test_the_gate_is_light():
    code = "import sys, omnifuse.data.fetch; print([m for m in ('torch', 'pyarrow', 'daft', 'ssl') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


OBJECTS = {"data/a.png": BODY, "data/b c.png": b"b", "data/deep/a.png": b"c", "data/large": bytes(LIMIT + 1), "top.csv": b"a\n1\n"}


class Store(http.server.BaseHTTPRequestHandler):
    """As much of S3 as reading needs."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        key = unquote(path).removeprefix("/bucket").removeprefix("/")
        if path.rstrip("/") == "/bucket" and "list-type" in query:
            prefix = next((pair[7:] for pair in unquote(query).split("&") if pair.startswith("prefix=")), "")
            found = {name: len(body) for name, body in OBJECTS.items() if name.startswith(prefix)}
            items = "".join(f"<Contents><Key>{name}</Key><Size>{size}</Size></Contents>" for name, size in found.items())
            return self._answer(200, f"<ListBucketResult><Name>bucket</Name>{items}</ListBucketResult>".encode())
        if not path.startswith("/bucket") or key not in OBJECTS:
            return self._answer(404, b"")
        first, _, last = (self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")
        self._answer(206 if "Range" in self.headers else 200, OBJECTS[key][int(first) : int(last or 10**9) + 1])

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.server_address[1]}")
        yield
        running.shutdown()


def test_objects_of_s3_are_read_from_the_endpoint_of_the_environment(store: None):
    assert fetch("s3://bucket/data/a.png", Path(), LIMIT) == BODY
    assert fetch("s3://bucket/data/b c.png", Path(), LIMIT) == b"b"
    assert stamp("s3://bucket/data/a.png").startswith(f"{len(BODY)}:")
    for key, reason in {"data/no": "no such object", "data/large": "over the limit"}.items():
        with pytest.raises(BadValue, match=reason):
            fetch(f"s3://bucket/{key}", Path(), LIMIT)


def test_a_pattern_of_s3_finds_objects_of_its_folder_only(store: None):
    from omnifuse.data.fetch import listing

    assert listing("s3://bucket/data/*.png") == ["s3://bucket/data/a.png", "s3://bucket/data/b c.png"]
    assert listing("s3://bucket/*/*/a.png") == ["s3://bucket/data/deep/a.png"]
    assert urlsplit(listing("s3://bucket/*.csv")[0]).path == "/top.csv"
