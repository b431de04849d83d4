"""The package mirror is an archive that apt takes."""

import gzip
import hashlib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lab.cloud.api_gateway import loopback_listener
from lab.cloud.package_mirror import PackageMirror
from tests.aws.cloud.support import LoopThread

PACKAGES = "Package: hello\nVersion: 2.10-5\nArchitecture: amd64\nFilename: ./hello_2.10-5_amd64.deb\nSize: 5\nSHA256: x\n"


@pytest.fixture
def url(tmp_path: Path, loop: LoopThread) -> str:
    (tmp_path / "Packages").write_text(PACKAGES)
    (tmp_path / "hello_2.10-5_amd64.deb").write_bytes(b"!<arc")
    mirror = PackageMirror(tmp_path)
    listening = loopback_listener(0)
    loop.run(mirror.start(listening))
    loop.add_cleanup(mirror.stop)
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def test_the_release_vouches_for_the_index_and_the_index_leads_to_the_package(url: str) -> None:
    release = get(f"{url}/debian/dists/trixie/Release").decode()
    index = get(f"{url}/debian/dists/trixie/main/binary-amd64/Packages")
    packed = get(f"{url}/debian/dists/trixie/main/binary-amd64/Packages.gz")
    assert gzip.decompress(packed) == index
    for name, content in (("Packages", index), ("Packages.gz", packed)):
        assert f" {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-amd64/{name}\n" in release
    assert b"Filename: pool/hello_2.10-5_amd64.deb\n" in index
    assert get(f"{url}/debian/pool/hello_2.10-5_amd64.deb") == b"!<arc"


def test_other_suites_are_there_and_empty(url: str) -> None:
    assert get(f"{url}/debian-security/dists/trixie-security/main/binary-amd64/Packages") == b""
    assert "Codename: trixie-updates" in get(f"{url}/debian/dists/trixie-updates/Release").decode()


@pytest.mark.parametrize(
    "path", ["/debian/dists/trixie/InRelease", "/debian/pool/other.deb", "/debian/pool/..%2fPackages", "/", "/etc/passwd"]
)
def test_nothing_else_is_served(url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(url + path)
