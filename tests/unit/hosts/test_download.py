"""A bundle of any size comes over: to the disk as it arrives, whole although connections break, and only what its name says."""

import hashlib
import os
import tarfile
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from web_role import app_bundle, release
from webstack_host import aws, config

from .conftest import HOST, returning

MIB = 1 << 20
SIZE = 33 * MIB
"""Five parts, the last of one MiB."""


class Bucket(ThreadingHTTPServer):
    """Serves one object by S3's protocol. The connection of each part's first request breaks in the middle of the answer."""

    daemon_threads = True

    def __init__(self, file: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.file = file
        self.asked: Counter[str] = Counter()
        self.breaks = 1
        """How often the answer to each part breaks off."""


class Answers(BaseHTTPRequestHandler):
    """GET with and without a range, and HEAD."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self._begin(200, self._bucket.file.stat().st_size)

    def do_GET(self) -> None:
        wanted, size = self.headers.get("Range", ""), self._bucket.file.stat().st_size
        first, _, last = wanted.removeprefix("bytes=").partition("-") if wanted else ("0", "", "")
        start, end = int(first), min(int(last or size - 1), size - 1)
        self._bucket.asked[wanted] += 1
        self._begin(206 if wanted else 200, end - start + 1)
        length = end - start + 1
        broken = self._bucket.asked[wanted] <= self._bucket.breaks
        with self._bucket.file.open("rb") as file:
            file.seek(start)
            left = length // 2 if broken else length
            while left:
                block = file.read(min(left, 256 * 1024))
                self.wfile.write(block)
                left -= len(block)
        self.close_connection = broken

    def _begin(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", '"1"')
        self.end_headers()

    @property
    def _bucket(self) -> Bucket:
        return cast("Bucket", self.server)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """The artifact bucket, with an object of random bytes."""
    file = tmp_path / "object"
    with file.open("wb") as out:
        for _ in range(SIZE // MIB):
            out.write(os.urandom(MIB))
    with Bucket(file) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        make = cast("Any", boto3.client)
        client = make(
            "s3",
            endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
            region_name="eu-central-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        monkeypatch.setattr(aws, "s3", returning(client))
        monkeypatch.setattr(config, "load_common", returning(HOST))
        yield server
        server.shutdown()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_large_object_is_written_as_it_comes_and_each_broken_part_is_asked_for_again(bucket: Bucket, tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    tracemalloc.start()
    try:
        with fetched.open("wb") as file:
            aws.download_object("app/1.tar.gz", file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert digest(fetched) == digest(bucket.file)
    assert set(bucket.asked.values()) == {2}
    assert len(bucket.asked) == 5
    assert peak < SIZE / 2, f"{peak / MIB:.0f} MiB of memory at once for an object of {SIZE / MIB:.0f}"


def test_an_object_that_never_comes_whole_is_an_error_and_no_release(bucket: Bucket, tmp_path: Path) -> None:
    bucket.breaks = 100
    home = tmp_path / "app"
    with pytest.raises(Exception, match=r"Max Retries|IncompleteRead|Connection"):
        release.install("app/1.tar.gz", "1" * 64, home=home)
    assert max(bucket.asked.values()) == 5
    assert list(home.iterdir()) == []


def test_a_key_that_is_not_there_is_an_error_of_s3(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Answers) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    monkeypatch.setattr(Answers, "do_HEAD", missing)
    with (tmp_path / "x").open("wb") as file, pytest.raises(ClientError, match="404"):
        aws.download_object("app/1.tar.gz", file)


def test_a_large_file_is_unpacked_and_verified_without_being_held_in_memory(tmp_path: Path, bucket: Bucket) -> None:
    tarball, folder = tmp_path / "bundle.tar.gz", tmp_path / "release"
    app = tmp_path / "sources"
    app.mkdir()
    for name in ("wsgi.py", "requirements.lock"):
        (app / name).write_text("")
    bucket.file.rename(app / "film.bin")
    with tarfile.open(tarball, "w:gz", compresslevel=1) as archive:
        archive.add(app, "app", filter=lambda member: member if not member.isdir() else None)
        for path in app.iterdir():
            archive.add(path, f"app/{path.name}")
    folder.mkdir()
    named = app_bundle.manifest_hash(app)
    tracemalloc.start()
    try:
        app_bundle._unpack(tarball, folder)  # pyright: ignore[reportPrivateUsage] - the rest makes an environment by programs
        app_bundle._verify(folder / "app", named)  # pyright: ignore[reportPrivateUsage]
        release.set_mtime_from_content(folder / "app")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SIZE / 2, f"{peak / MIB:.0f} MiB of memory at once for a file of {SIZE / MIB:.0f}"
    with pytest.raises(app_bundle.BundleError, match="it is damaged or not the one meant"):
        app_bundle._verify(folder / "app", "0" * 64)  # pyright: ignore[reportPrivateUsage]
