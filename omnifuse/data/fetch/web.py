"""http(s):// addresses: where they may lead, how long they may take, what is said when they fail."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from omnifuse.core.errors import OmnifuseError
from omnifuse.data.fetch.limits import BLOCK, WAIT_S, BadValue, Passing, check_size, parts_of

MAX_REDIRECTS = 5
PASSING = {429, 500, 502, 503, 504}
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def copy_answer(read: Callable[[int], bytes], headers: Any, sink: BinaryIO, max_bytes: int) -> None:
    """Copy a body, counting it: what the server says of its length is a promise only."""
    length = headers.get("Content-Length")
    expected = int(length) if length and length.isdecimal() else None
    if headers.get("Content-Encoding", "identity") != "identity":
        raise BadValue("the server packs its answer, though it was not asked to")
    check_size(expected or 0, max_bytes)
    size = 0
    while block := read(BLOCK):
        size += len(block)
        check_size(size, max_bytes)
        try:
            sink.write(block)
        except OSError as error:
            raise OmnifuseError(f"the copy cannot be written ({error.strerror or error})") from None
    if expected is not None and size < expected:
        raise Passing(f"the answer broke off after {size} of {expected} bytes")


@contextmanager
def answer_of(address: str, allow_private: bool, deadline_s: float, method: str = "GET") -> Iterator[tuple[Callable[[int], bytes], Any]]:
    """The body and headers of an http answer; when time is up, its connections are cut wherever they are."""
    parts = parts_of(address)
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit((parts.scheme, host, _quoted(parts.path) or "/", _quoted(parts.query), ""))
    request = urllib.request.Request(url, headers={"User-Agent": "omnifuse"}, method=method)
    if parts.username is not None:  # not carried on to where a redirect leads
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(pair).decode()}")
    watch = _Watch(deadline_s)
    try:
        with watch, _opener(watch, allow_private).open(request, timeout=min(WAIT_S, deadline_s)) as answer:
            if answer.status != 200:
                raise BadValue(f"the server answers {answer.status}")
            yield answer.read1, answer.headers
            if watch.expired:
                raise BadValue(f"not read within {deadline_s:.0f} s")
    except OmnifuseError:
        if watch.expired:
            raise BadValue(f"not read within {deadline_s:.0f} s") from None
        raise
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        raise _http_fault(error, watch, deadline_s) from None


def check_host(host: str, port: int) -> None:
    """Open a connection and close it again."""
    try:
        socket.create_connection((host, port), WAIT_S / 4).close()
    except (OSError, UnicodeError) as error:
        raise _http_fault(error, _Watch(0), 0) from None


def _http_fault(error: Exception, watch: _Watch, deadline_s: float) -> BadValue:
    """A fault in words of our own: those of the libraries repeat the address."""
    if watch.expired:
        return BadValue(f"not read within {deadline_s:.0f} s")
    if isinstance(error, urllib.error.HTTPError):
        if 300 <= error.code < 400:
            return BadValue("the server redirects too often, or to an address that is not http or https")
        return (Passing if error.code in PASSING else BadValue)(f"the server answers {error.code}")
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return BadValue("the server does not answer in time")
    if isinstance(reason, socket.gaierror):
        return BadValue("no such host, or no network")
    if isinstance(reason, ssl.SSLError):
        return BadValue(f"no secure connection ({reason.reason or 'the certificate is refused'})")
    if isinstance(reason, ConnectionRefusedError):
        return BadValue("the server refuses the connection")
    if isinstance(reason, OSError | http.client.RemoteDisconnected | http.client.IncompleteRead):
        return Passing("the connection broke off")
    return BadValue(f"the answer or the address is not valid ({type(reason).__name__})")


class _Watch:
    """Cuts connections when time is up: a timeout of the socket alone begins anew with every byte that drips in."""

    def __init__(self, deadline_s: float) -> None:
        self.expired = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(max(deadline_s, 0.0), self._cut)
        self._timer.daemon = True

    def add(self, connection: socket.socket) -> None:
        self._sockets.append(connection.dup())  # TLS takes the first handle over

    def _cut(self) -> None:
        self.expired = True
        for handle in self._sockets:
            try:
                handle.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for handle in self._sockets:
            handle.close()


def _opener(watch: _Watch, allow_private: bool) -> urllib.request.OpenerDirector:
    """Knows http and https and nothing else, so that no redirect leads to a file."""

    def connect(host: str, port: int, timeout: Any, check: bool) -> socket.socket:
        places = _places(host, port, allow_private) if check else [host]
        fault: OSError | None = None
        for place in places:  # the very addresses that were checked: a second look-up could answer otherwise
            try:
                connection = socket.create_connection((place, port), timeout)
                watch.add(connection)
                return connection
            except OSError as error:
                fault = error
        raise fault or OSError("no address")

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = connect(self.host, self.port, self.timeout, check=not proxied)

    class Secure(http.client.HTTPSConnection):
        def connect(self) -> None:
            tunnel = getattr(self, "_tunnel_host", None)
            self.sock = connect(self.host, self.port, self.timeout, check=not tunnel)
            if tunnel:
                self._tunnel()  # pyright: ignore[reportAttributeAccessIssue]
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=tunnel or self.host)

    proxied = False

    class Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
        def http_open(self, req: urllib.request.Request) -> Any:
            nonlocal proxied
            proxied = req.has_proxy()
            return self.do_open(Plain, req)

        def https_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(Secure, req)

    class Proxies(urllib.request.ProxyHandler):
        def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> Any:
            host = urlsplit(req.full_url).hostname or ""
            try:
                inside = any(map(_is_private, _resolve(host, 80)))
            except OSError:  # only the proxy knows the name
                inside = False
            if inside:
                _places(host, 80, allow_private)
                return None  # a proxy is for what lies outside
            return super().proxy_open(req, proxy, type)

    class Redirects(urllib.request.HTTPRedirectHandler):
        max_redirections = MAX_REDIRECTS

        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            if urlsplit(newurl).scheme not in ("http", "https"):
                raise BadValue("the server redirects to an address that is not http or https")
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = urllib.request.OpenerDirector()
    default, process = urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor()
    for handler in (Proxies(), Handler(), Redirects(), default, process, urllib.request.UnknownHandler()):
        opener.add_handler(handler)
    return opener


def _resolve(host: str, port: int) -> list[str]:
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def _places(host: str, port: int, allow_private: bool) -> list[str]:
    """Numeric addresses of a host.

    Raises:
        BadValue: one of them is inside, which is not allowed.
    """
    found = _resolve(host, port)
    if not allow_private and any(map(_is_private, found)):
        raise BadValue("the address leads to this machine or a private network, which a table may not name")
    return found


def _is_private(place: str) -> bool:
    """Whether an address is anything but a public one; what is wrapped in IPv6 is looked at too."""
    ip = ipaddress.ip_address(place.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None)
        ip = inner or ip
    return not ip.is_global or ip.is_multicast


def starts_private(address: str) -> bool:
    """Whether an address as it stands leads to this machine or a private network."""
    parts = parts_of(address)
    try:
        return any(map(_is_private, _resolve(parts.hostname or "", 80)))
    except (OSError, UnicodeError):
        return False


def _quoted(part: str) -> str:
    return quote(part, safe="/%:=&?~+!$,;'@()*[]-._|")
