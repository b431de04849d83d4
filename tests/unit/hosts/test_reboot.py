"""A reboot that an upgrade needs: when it is needed, on which day, and only while all others of the tier serve."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from webstack_host import aws, config, peers, reboot

from .conftest import HOST, FakePrograms, returning

SUNDAY = datetime(2026, 11, 29, 3, 2, tzinfo=UTC)
REBOOT = ["systemctl", "reboot"]


class Bucket:
    """The records of a tier: what each host said, and how long ago."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[bytes, float]] = {}

    def say(self, host: str, state: str = "ready", *, age: float = 20, instance: str = "") -> None:
        """A host's record, `age` seconds old."""
        body = json.dumps({"host": host, "state": state, "reason": "serves the app"}).encode()
        self.records[f"hosts/AROAWEB:{instance or host}.json"] = (body, age)

    def list_objects(self, prefix: str) -> list[str]:
        """As the role may."""
        assert prefix == "hosts/AROAWEB:"
        return list(self.records)

    def get_object(self, **asked: str) -> dict[str, Any]:
        """With S3's own two times."""
        body, age = self.records[asked["Key"]]
        headers = {"date": format_datetime(SUNDAY, usegmt=True)}
        return {"Body": io.BytesIO(body), "LastModified": SUNDAY - timedelta(seconds=age), "ResponseMetadata": {"HTTPHeaders": headers}}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = Bucket()
    made.say("web-1")
    made.say("web-2")
    monkeypatch.setattr(aws, "user_id", returning("AROAWEB:i-1"))
    monkeypatch.setattr(aws, "list_objects", made.list_objects)
    monkeypatch.setattr(aws, "s3", returning(made))
    return made


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: FakePrograms, bucket: Bucket) -> Callable[..., list[list[str]]]:
    """One run on web-1, on a Sunday, where a new kernel needs a reboot; what it did."""
    assert bucket
    monkeypatch.setattr(reboot, "PROC", tmp_path / "proc")
    monkeypatch.setattr(reboot, "REQUIRED", tmp_path / "reboot-required")
    monkeypatch.setattr(reboot, "PACKAGES", tmp_path / "reboot-required.pkgs")
    (tmp_path / "reboot-required").touch()
    (tmp_path / "reboot-required.pkgs").write_text("linux-image-6.12.57\nlinux-image-6.12.57\n")

    class Now(datetime):
        """A moment of that night."""

        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
            assert tz is UTC
            return SUNDAY

    monkeypatch.setattr(reboot, "datetime", Now)

    def run(*, status: int = 0, **changes: Any) -> list[list[str]]:
        monkeypatch.setattr(config, "load_common", returning(replace(HOST, **changes)))
        assert reboot.main() == status
        return programs.calls

    return run


def test_a_host_that_needs_it_reboots_on_its_day_while_all_of_its_tier_serve(
    host: Callable[..., list[list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert host() == [REBOOT]
    said = capsys.readouterr().out
    assert "a reboot is needed by linux-image-6.12.57\n" in said
    assert "all of this tier serve (web-1, web-2)" in said


@pytest.mark.parametrize(("day", "reboots"), [("sunday", True), ("daily", True), ("saturday", False), ("", False)])
def test_the_day_is_the_one_that_is_set(host: Callable[..., list[list[str]]], day: str, reboots: bool) -> None:
    assert host(reboot_day=day) == ([REBOOT] if reboots else [])


def test_nothing_that_needs_it_is_no_reboot(host: Callable[..., list[list[str]]]) -> None:
    reboot.REQUIRED.unlink()
    reboot.PACKAGES.unlink()
    assert host() == []


@pytest.mark.parametrize(
    ("state", "age"), [("unready", 5), ("failed", 5), ("starting", 5), ("ready", peers.MAX_AGE + 1), ("ready", peers.FORGET_AFTER - 1)]
)
def test_while_another_of_the_tier_does_not_serve_nobody_goes(
    host: Callable[..., list[list[str]]], bucket: Bucket, capsys: pytest.CaptureFixture[str], state: str, age: float
) -> None:
    bucket.say("web-2", state, age=age)
    assert host(status=1) == []
    assert f"it is put off: web-2 is {state} (serves the app), heard {age:.0f} s ago" in capsys.readouterr().err


def test_a_host_that_does_not_serve_itself_waits_for_somebody(host: Callable[..., list[list[str]]], bucket: Bucket) -> None:
    bucket.say("web-1", "unready")
    assert host(status=1) == []
    del bucket.records["hosts/AROAWEB:web-1.json"]
    assert host(status=1) == []


def test_one_that_left_long_ago_and_one_that_was_replaced_hold_nobody_up(host: Callable[..., list[list[str]]], bucket: Bucket) -> None:
    bucket.say("web-3", age=peers.FORGET_AFTER + 1)
    bucket.say("web-2", "unready", age=900, instance="i-before")
    assert host() == [REBOOT]


def test_a_host_without_others_reboots(host: Callable[..., list[list[str]]], bucket: Bucket) -> None:
    del bucket.records["hosts/AROAWEB:web-2.json"]
    assert host() == [REBOOT]


@pytest.mark.parametrize("body", [b"no json", b"[]"])
def test_an_api_that_does_not_answer_or_a_record_that_is_none_puts_it_off(
    host: Callable[..., list[list[str]]], bucket: Bucket, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    bucket.records["hosts/AROAWEB:web-2.json"] = (body, 5)
    assert host(status=1) == []

    def silent(_: str) -> list[str]:
        raise OSError("no route")

    monkeypatch.setattr(aws, "list_objects", silent)
    assert host(status=1) == []


@pytest.mark.parametrize(
    ("mapped", "outdated"),
    [
        ("7f00-7f10 r-xp 00000000 fe:01 42  /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)", True),
        ("5500-5510 r-xp 00000000 fe:01 43  /usr/sbin/haproxy (deleted)", True),
        ("7f00-7f10 r-xp 00000000 fe:01 42  /usr/lib/x86_64-linux-gnu/libssl.so.3", False),
        ("7f00-7f10 r--s 00000000 fe:01 42  /usr/share/zoneinfo/UTC (deleted)", False),
        ("7f00-7f10 r-xp 00000000 00:01 42  /memfd:jit (deleted)", False),
        ("7f00-7f10 r-xp 00000000 00:00 0", False),
    ],
)
def test_a_program_that_runs_with_a_file_which_an_upgrade_replaced_needs_one(
    host: Callable[..., list[list[str]]], mapped: str, outdated: bool
) -> None:
    reboot.REQUIRED.unlink()
    reboot.PACKAGES.unlink()
    (reboot.PROC / "213").mkdir(parents=True)
    (reboot.PROC / "213/maps").write_text(f"5500-5510 r--p 00000000 fe:01 1  /usr/bin/true\n{mapped}\n")
    (reboot.PROC / "213/comm").write_text("haproxy\n")
    assert reboot.reasons() == (["haproxy"] if outdated else [])
    assert host() == ([REBOOT] if outdated else [])
