import hashlib
import io
import logging
import socket
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from genrec_cli.core.errors import DataError, UsageError
from genrec_cli.core.progress import SILENT
from genrec_cli.data.download import fetch, fetch_movielens
from genrec_cli.data.movielens import Variant


def a_zip(size: int = 700_000) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ml-x/ratings.dat", bytes(range(250)) * (size // 250))
    return buffer.getvalue()


BODY = a_zip()
BLOCK = 1 << 14  # what the download writes at a time
WHOLE = Variant("x", "ml-x.zip", hashlib.md5(BODY).hexdigest(), len(BODY))
UNSUMMED = Variant("latest", "ml-latest.zip")  # no checksum is known


class Server(ThreadingHTTPServer):
    """Serves `body` under every path, as `manner` says, and keeps what was asked for."""

    def __init__(self, body: bytes = BODY) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.breaks: list[int] = []  # bytes to send before breaking off, one a request
        self.ranges = True
        self.status = 200
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, span = self.server, self.headers.get("Range")
        server.asked.append(span)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and server.ranges else 0
        if server.status != 200 or start >= len(server.body):
            self.send_error(416 if start else server.status)
            return
        body = server.body[start:]
        self.send_response(206 if start else 200)
        if start:
            total = len(server.body)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.breaks.pop(0)] if server.breaks else body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def files(cache: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.iterdir()}


def test_an_archive_is_fetched_once_and_then_found(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    for _ in range(2):
        assert fetch(WHOLE, cache, SILENT, server.url) == cache / "ml-x.zip"
    assert server.asked == [None]
    assert files(cache) == {"ml-x.zip": BODY}


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    server: Server, tmp_path: Path
) -> None:
    server.breaks = [9 * BLOCK, 2 * BLOCK + 5]
    fetch(WHOLE, tmp_path, SILENT, server.url)
    assert server.asked == [None, f"bytes={9 * BLOCK}-", f"bytes={11 * BLOCK}-"]
    assert files(tmp_path) == {"ml-x.zip": BODY}


def test_a_download_that_keeps_breaking_off_goes_on_in_the_next_call(
    server: Server, tmp_path: Path
) -> None:
    server.breaks = [BLOCK] * 3
    with pytest.raises(DataError) as caught:
        fetch(WHOLE, tmp_path, SILENT, server.url)
    assert caught.value.message == (
        f"{server.url}ml-x.zip: cannot be downloaded: the connection broke off"
    )
    assert caught.value.fix == (
        "run the command again, it goes on where it stopped; or download it elsewhere and pass "
        "--source /path/to/ml-x.zip"
    )
    assert files(tmp_path) == {"ml-x.zip.part": BODY[: 3 * BLOCK]}
    fetch(WHOLE, tmp_path, SILENT, server.url)
    assert server.asked[-1] == f"bytes={3 * BLOCK}-"
    assert files(tmp_path) == {"ml-x.zip": BODY}


def test_a_server_without_ranges_sends_the_whole_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks = [300_000]
    fetch(WHOLE, tmp_path, SILENT, server.url)
    assert files(tmp_path) == {"ml-x.zip": BODY}


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ml-x.zip.part").write_bytes(BODY + b"more")
    fetch(WHOLE, tmp_path, SILENT, server.url)
    assert server.asked == [f"bytes={len(BODY) + 4}-", None]
    assert files(tmp_path) == {"ml-x.zip": BODY}


@pytest.mark.parametrize("left_over", [b"", b"not the start of it"])
def test_wrong_content_is_refused_and_not_kept(
    server: Server, tmp_path: Path, left_over: bytes
) -> None:
    if left_over:
        (tmp_path / "ml-x.zip.part").write_bytes(left_over)
    else:
        server.body = b"<html>please sign in</html>"
    got = hashlib.md5(left_over + server.body[len(left_over) :]).hexdigest()
    with pytest.raises(DataError) as caught:
        fetch(WHOLE, tmp_path, SILENT, server.url)
    assert caught.value.message == (
        f"{server.url}ml-x.zip: wrong checksum: expected md5 {WHOLE.md5}, got {got}"
    )
    assert caught.value.fix == (
        "run the command again; if it stays wrong, download it elsewhere and pass "
        "--source /path/to/ml-x.zip"
    )
    assert files(tmp_path) == {}


def test_a_cached_file_with_a_wrong_checksum_is_fetched_anew(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "ml-x.zip").write_bytes(BODY[:1000])
    fetch(WHOLE, tmp_path, SILENT, server.url)
    assert files(tmp_path) == {"ml-x.zip": BODY}


def test_an_archive_without_checksum_is_whole_when_its_zip_is(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "ml-latest.zip.part").write_bytes(b"of an older make")
    assert fetch_movielens("latest", tmp_path, SILENT, server.url).read_bytes() == BODY
    assert server.asked == [None]


@pytest.mark.parametrize("body", [b"<html>", BODY[:-30], BODY.replace(bytes(range(250)), b"", 1)])
def test_an_archive_without_checksum_is_refused_when_its_zip_is_broken(
    server: Server, tmp_path: Path, body: bytes
) -> None:
    server.body = body
    with pytest.raises(DataError, match=r"what arrived is not a whole zip \([\d,]+ bytes\)"):
        fetch(UNSUMMED, tmp_path, SILENT, server.url)
    assert files(tmp_path) == {}


def test_a_broken_archive_in_the_cache_is_named(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "ml-latest.zip"
    target.write_bytes(BODY[:1000])
    with pytest.raises(DataError, match="not a zip, or cut short") as caught:
        fetch(UNSUMMED, tmp_path, SILENT, server.url)
    assert caught.value.fix == f"delete {target} and run again"


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (503, "Service Unavailable")])
def test_an_http_error_is_named(server: Server, tmp_path: Path, status: int, reason: str) -> None:
    server.status = status
    with pytest.raises(DataError) as caught:
        fetch_movielens("1m", tmp_path, SILENT, server.url)
    assert caught.value.message == (
        f"{server.url}ml-1m.zip: cannot be downloaded: HTTP {status} {reason}"
    )
    assert caught.value.fix == "download it elsewhere and pass --source /path/to/ml-1m.zip"
    assert files(tmp_path) == {}


def test_being_offline_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(DataError, match="no connection: offline, or the host is down"):
        fetch_movielens("1m", tmp_path, SILENT, f"http://127.0.0.1:{port}/")


def test_a_connection_that_is_not_secure_is_named(server: Server, tmp_path: Path) -> None:
    secure = server.url.replace("http:", "https:")
    with pytest.raises(DataError, match="its certificate is not accepted"):
        fetch_movielens("1m", tmp_path, SILENT, secure)


def test_a_cache_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"ml-x\.zip: cannot be written: "):
        fetch(WHOLE, tmp_path / "cache", SILENT, server.url)


def test_an_unknown_variant_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no MovieLens variant '2m': choose from 100k, 1m, 10m"):
        fetch_movielens("2m", tmp_path)


def test_poochs_log_is_left_as_it_was(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = pooch.get_logger().level
    fetch(WHOLE, tmp_path, SILENT, server.url)
    assert pooch.get_logger().level == before != logging.ERROR
    assert capfd.readouterr() == ("", "")
