"""Bundles come into the bucket before any host that needs them, once, and an API that is away for a moment does not end an `up`."""

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pytest

from stack.bundles import BuiltBundle
from stack.publishing import MAX_ATTEMPTS, RETRY_DELAYS, Publisher, PublishError
from tests.unit.monitor import StrictMonitor, run


@dataclass
class FakeObjectStore:
    """A store in memory, which fails as often as it is told to."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    hashes: dict[str, str] = field(default_factory=dict[str, str])
    puts: list[str] = field(default_factory=list[str])
    failures: int = 0
    lookups: list[str] = field(default_factory=list[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has_object(self, bucket: str, key: str, *, length: int, sha256: str) -> bool:
        with self.lock:
            self.lookups.append(key)
            if self.failures:
                self.failures -= 1
                raise ConnectionError("no answer")
        assert bucket == "artifacts"
        held = self.objects.get(key)
        return held is not None and len(held) == length and self.hashes.get(key) == sha256

    def put_object(self, bucket: str, key: str, path: Path, *, sha256: str) -> None:
        assert bucket == "artifacts"
        self.objects[key] = path.read_bytes()
        self.hashes[key] = sha256
        self.puts.append(key)


@dataclass
class FakeSleep:
    """Takes no time and remembers how long it would have taken."""

    delays: list[float] = field(default_factory=list[float])

    async def __call__(self, seconds: float) -> None:
        self.delays.append(seconds)


@pytest.fixture
def bundles(tmp_path: Path) -> list[BuiltBundle]:
    """An app's and a role's, built."""
    found: list[BuiltBundle] = []
    for key in ("app/1.tar.gz", "roles/web/2.tar.gz"):
        path = tmp_path / key.replace("/", "-")
        path.write_bytes(key.encode())
        found.append(BuiltBundle(key=key, sha256=key, path=path))
    return found


def upload_all(store: FakeObjectStore, bundles: list[BuiltBundle], pauses: FakeSleep | None = None) -> str:
    return asyncio.run(Publisher(store_factory=lambda: store, enabled=True, sleep=pauses or FakeSleep()).upload_all("artifacts", bundles))


def test_what_is_missing_is_put_there_and_what_is_there_is_left(bundles: list[BuiltBundle]) -> None:
    store = FakeObjectStore()
    upload_all(store, bundles[:1])
    assert upload_all(store, bundles) == "artifacts"
    assert store.objects == {bundle.key: bundle.key.encode() for bundle in bundles}
    assert store.hashes == {bundle.key: hashlib.sha256(bundle.key.encode()).hexdigest() for bundle in bundles}
    assert store.puts == ["app/1.tar.gz", "roles/web/2.tar.gz"]


@pytest.mark.parametrize("content", [b"7 bytes", b"app/2.tar.gz"], ids=["another length", "the same length"])
def test_what_somebody_has_overwritten_is_put_there_again(bundles: list[BuiltBundle], content: bytes) -> None:
    store = FakeObjectStore()
    upload_all(store, bundles)
    store.objects["app/1.tar.gz"] = content
    del store.hashes["app/1.tar.gz"]  # an object that is put anew has its own metadata alone
    upload_all(store, bundles)
    assert store.objects["app/1.tar.gz"] == b"app/1.tar.gz"
    assert len(store.puts) == 3, "the other one is left"


def test_a_failed_try_is_repeated_with_growing_pauses(bundles: list[BuiltBundle]) -> None:
    store, pauses = FakeObjectStore(failures=3), FakeSleep()
    upload_all(store, bundles[:1], pauses)
    assert list(store.objects) == ["app/1.tar.gz"]
    assert pauses.delays == list(RETRY_DELAYS[:3])
    assert list(RETRY_DELAYS) == sorted(RETRY_DELAYS)


def test_a_bundle_that_does_not_get_there_is_an_error_that_says_which_and_what_to_do(bundles: list[BuiltBundle]) -> None:
    store = FakeObjectStore(failures=1000)
    with pytest.raises(PublishError) as told:
        upload_all(store, bundles[:1])
    assert len(store.lookups) == MAX_ATTEMPTS
    for part in ("app/1.tar.gz", "bucket artifacts", "no answer", "No host was changed", "s3:PutObject"):
        assert part in str(told.value)


def test_a_bundle_without_a_file_is_never_published() -> None:
    with pytest.raises(ValueError, match="can only be previewed"):
        upload_all(FakeObjectStore(), [BuiltBundle(key="app/1.tar.gz", sha256="1", path=None)])


@pytest.mark.parametrize("enabled", [True, False], ids=["up", "preview"])
def test_a_preview_asks_nobody(bundles: list[BuiltBundle], enabled: bool) -> None:
    store, names = FakeObjectStore(), list[str]()

    def program() -> None:
        publisher = Publisher(store_factory=lambda: store, enabled=enabled, sleep=FakeSleep())
        publisher.publish(bundles, pulumi.Output.from_input("artifacts"), depends_on=[]).apply(names.append)

    run(program, monitor=StrictMonitor())
    assert names == ["artifacts"]
    assert bool(store.lookups) is enabled
