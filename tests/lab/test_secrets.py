"""No generated secret's value is anywhere but in Secrets Manager and its own files on the hosts' tmpfs: plain, base64 or hexadecimal.

The values are letters and digits, so quoting for a URL, a shell or JSON leaves them as they are. The search is shown to find planted ones.
"""

import base64
import contextlib
import errno
import io
import json
import os
import re
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.secret_specs import SECRET_SPECS
from tests.lab.harness import LabUnderTest


@pytest.fixture(scope="module")
def values(lab: LabUnderTest) -> dict[str, str]:
    """Every secret's value, by its name."""
    secrets = lab.secrets()
    names = [
        secret["Name"] for page in secrets.get_paginator("list_secrets").paginate() for secret in page["SecretList"] if "Name" in secret
    ]
    found = {name: secrets.get_secret_value(SecretId=name)["SecretString"] for name in names}
    assert sorted(name.rpartition("/")[2] for name in found) == sorted(SECRET_SPECS), "each of them, and no other"
    assert all(value.isalnum() for value in found.values()), "else other spellings must be searched for as well"
    assert min(len(value) for value in found.values()) >= 20
    return found


def test_no_secret_is_in_anything_that_others_may_read(lab: LabUnderTest, values: dict[str, str]) -> None:
    searched = 0
    for place, text in everything_readable(lab):
        searched += 1
        for name, value in values.items():
            assert not spellings(value).search(text.encode()), f"{name} stands in {place}"
    assert searched >= 20


def test_no_secret_is_in_a_file_of_a_host_that_survives_a_reboot(lab: LabUnderTest, values: dict[str, str]) -> None:
    assert list(files_with(values, [machine / "upper" for machine in lab.names.machines_dir.iterdir()])) == []


def test_no_secret_is_anywhere_on_a_data_volume(lab: LabUnderTest, values: dict[str, str]) -> None:
    """Where MySQL would write a replica's password if it were told to keep it. What was deleted is looked at too."""
    searched = 0
    for host in ("db-1", "db-2"):
        lab.run_on(host, "sync")
    for image in lab.names.volume_file("any").parent.iterdir():
        for piece in written(image):
            searched += len(piece)
            assert [name for name, value in values.items() if any(one in piece for one in spelt(value))] == [], image.name
    assert searched > 2 * LEAST_DATABASE, "both databases were read"


def test_no_secret_is_in_the_engine_state_in_clear_nor_in_the_lab_s_logs(lab: LabUnderTest, values: dict[str, str]) -> None:
    state = lab.names.state_dir
    assert list(files_with(values, [state / "engine", *state.glob("*.log"), *state.glob("*.jsonl")])) == []


LEAST_DATABASE = 50 * 1024**2
"""Bytes that MySQL has written by the time it serves; 200 MiB seen."""

OWN = {
    ("run/webstack/app.env", 0o600): ["app-reader", "app-session-key", "app-writer"],
    ("run/webstack/migrate.env", 0o600): ["app-migrator"],
}
"""The files of a web host that hold secrets, in memory, with their modes. Database hosts hand theirs to MySQL and keep none in a file."""
RELOADED = ("run/webstack-app/environment.json", 0o400)
"""What a reload told the app in its own folder, as its user's: there from the first rotation after the app's start on."""


def test_only_a_secret_s_own_files_hold_it_in_a_host_s_memory_and_root_alone_reads_them(lab: LabUnderTest, values: dict[str, str]) -> None:
    for host in lab.hosts():
        found: dict[tuple[str, int], list[str]] = {}
        for path, mode, content in in_memory(lab, host):
            held = [name.rpartition("/")[2] for name, value in values.items() if spellings(value).search(content)]
            if held:
                found[path, mode] = sorted(held)
        if host.startswith("web-"):
            assert found.pop(RELOADED, OWN["run/webstack/app.env", 0o600]) == OWN["run/webstack/app.env", 0o600]
        assert found == (OWN if host.startswith("web-") else {}), host


def test_no_secret_is_in_a_command_line_or_a_journal(lab: LabUnderTest, values: dict[str, str]) -> None:
    for host in lab.hosts():
        lines = lab.run_on(host, "sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; true")
        journal = lab.run_on(host, "journalctl", "--no-pager", "--output", "export", "--boot", "all")
        assert "webstack" in journal
        assert [name for name, value in values.items() if spellings(value).search((lines + journal).encode())] == [], host


def in_base64(value: str) -> bytes:
    return base64.b64encode(b"a:" + value.encode() + b"!")


def in_hexadecimal(value: str) -> bytes:
    return value.encode().hex().encode()


@pytest.mark.parametrize("spell", [str.encode, in_base64, in_hexadecimal])
def test_the_search_finds_a_planted_value(values: dict[str, str], tmp_path: Path, spell: Callable[[str], bytes]) -> None:
    (tmp_path / "below").mkdir()
    sparse = tmp_path / "sparse"
    for number, value in enumerate(values.values()):
        planted = tmp_path / "below" / str(number)
        planted.write_bytes(b"\0before " + spell(value) + b" after\0")
        assert list(files_with(values, [tmp_path])) == [planted]
        planted.unlink()
        with sparse.open("wb") as file:
            file.seek(PIECE - 3)  # across the end of a piece, behind a hole
            file.write(spell(value))
        assert any(one in piece for piece in written(sparse) for one in spelt(value))
        sparse.unlink()


def in_memory(lab: LabUnderTest, host: str) -> Iterator[tuple[str, int, bytes]]:
    """The files of a host's memory file systems: path, mode and content. Searched here, so that no host hears what is searched for."""
    packed = lab.run_on(host, "sh", "-c", "tar --create --directory=/ run tmp dev/shm 2>/dev/null | base64")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name, member.mode, content.read()


def spellings(value: str) -> re.Pattern[bytes]:
    """Any way in which the value may be spelt."""
    return re.compile(b"|".join(re.escape(one) for one in spelt(value)))


def spelt(value: str) -> list[bytes]:
    """The value as it is, in hexadecimal, and in base64 wherever in the encoded text it begins."""
    raw = value.encode()
    found = [raw, raw.hex().encode()]
    for before in range(3):
        # What stands around it changes the characters at its edges: only those that the value alone decides are compared.
        encoded = base64.b64encode(b"\0" * before + raw)
        found.append(encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return found


PIECE = 8 * 1024**2
OVERLAP = 1024
"""Bytes; longer than any value's longest spelling."""


def written(file: Path) -> Iterator[bytes]:
    """What was ever written to a sparse file, in pieces that overlap."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        end, position = os.fstat(descriptor).st_size, 0
        while position < end:
            try:
                begin = os.lseek(descriptor, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole is left
                    return
                raise
            position = os.lseek(descriptor, begin, os.SEEK_HOLE)
            while begin < position:
                yield os.pread(descriptor, min(PIECE + OVERLAP, position - begin), begin)
                begin += PIECE
    finally:
        os.close(descriptor)


def everything_readable(lab: LabUnderTest) -> Iterator[tuple[str, str]]:
    """User data, tags, objects of the bucket and the stack's outputs, each with its name."""
    ec2, s3 = lab.ec2(), lab.s3()
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation.get("Instances", []):
            identifier = instance.get("InstanceId", "")
            attribute = ec2.describe_instance_attribute(InstanceId=identifier, Attribute="userData")
            yield f"user data of {identifier}", _decoded(attribute.get("UserData", {}).get("Value", ""))
    yield "tags", json.dumps(ec2.describe_tags()["Tags"])
    yield "secrets' tags and descriptions", json.dumps(lab.secrets().list_secrets()["SecretList"], default=str)
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket.get("Name", "")
        for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
            key = entry.get("Key", "")
            body = s3.get_object(Bucket=name, Key=key)["Body"].read()
            yield f"s3://{name}/{key}", _unpacked(body)
    yield "status", lab.command("status", "--json").stdout


def files_with(values: dict[str, str], places: list[Path]) -> Iterator[Path]:
    """Files below the places that hold one of the values, read as bytes."""
    pattern = re.compile(b"|".join(spellings(value).pattern for value in values.values()))
    for place in places:
        inside = (Path(folder, name) for folder, _, names in os.walk(place) for name in names)
        for path in [place] if place.is_file() else inside:
            with contextlib.suppress(FileNotFoundError):  # a host that lives removes files, too
                if stat.S_ISREG(path.lstat().st_mode) and pattern.search(path.read_bytes()):
                    yield path


def _decoded(text: str) -> str:
    return subprocess.run(["base64", "-d"], input=text, capture_output=True, text=True, check=True).stdout


def _unpacked(body: bytes) -> str:
    if body[:2] == b"\x1f\x8b":
        body = subprocess.run(["gzip", "-dc"], input=body, capture_output=True, check=True).stdout
    return body.decode(errors="replace")
