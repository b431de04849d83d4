"""The boot script: the one program that travels in user data."""

import hashlib
import io
import json
import runpy
import sys
import tarfile
from dataclasses import asdict, replace
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType
from typing import Any

import pytest
from webstack_host.variables import Bundle

from .conftest import HOST, ROOT

SCRIPT = ROOT / "userdata/common/usr/local/sbin/webstack-boot.j2"


def bundle(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content.encode()))
    return buffer.getvalue()


class Api:
    """S3 and STS, as far as the script asks."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        self.asked: list[str] = []
        self.down = 0
        """So many requests fail."""

    def client(self, service: str, **_: Any) -> "Api":
        return self

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  boto3's own names
        self.asked.append(Key)
        if self.down:
            self.down -= 1
            raise ConnectionError("the API is down")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[Key] = Body

    def get_caller_identity(self) -> dict[str, str]:
        return {"UserId": "AROAEXAMPLE:i-1"}


class StillTryingError(Exception):
    """Stands for a person who has seen enough."""


PACKAGES = ["nginx", "python3-boto3"]
AWAIT_APT = "/usr/local/sbin/webstack-await-apt"


class Host:
    """A host's disk below a folder, on which the script runs. After `attempts` it is interrupted."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.api = Api({})
        self.executed: list[str] = []
        self.pauses: list[float] = []
        self.attempts = 20
        self.installed = list(PACKAGES)
        self.programs: list[list[str]] = []
        self.installs_after = 1
        """At which of its runs apt gets the packages installed."""
        self.held = 0
        """So many times apt's locks are held by somebody else for longer than is waited for them."""
        boto3, botocore = ModuleType("boto3"), ModuleType("botocore.config")
        boto3.client = self.api.client  # pyright: ignore[reportAttributeAccessIssue]
        botocore.Config = dict  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, "boto3", boto3)
        monkeypatch.setitem(sys.modules, "botocore.config", botocore)
        monkeypatch.setattr("os.execv", self.execute)
        monkeypatch.setattr("time.sleep", self.pause)
        monkeypatch.setattr("subprocess.run", self.program)
        monkeypatch.setattr("urllib.request.urlopen", self.metadata)

    def metadata(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(b"i-1")

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self.attempts:
            raise StillTryingError

    def program(self, command: list[str], **_: Any) -> CompletedProcess[str]:
        self.programs.append(command)
        if command[0] == AWAIT_APT and self.held:
            self.held -= 1
            return CompletedProcess(command, 75, "", "once\ndpkg waits: /var/lib/dpkg/lock is held by process 7 (apt-get)\n")
        if "install" in command and sum("install" in call for call in self.programs) >= self.installs_after:
            self.installed = list(PACKAGES)
        shown = "".join(f"{name} {'installed' if name in self.installed else 'half-configured'}\n" for name in PACKAGES)
        return CompletedProcess(command, 0, shown if command[0] == "dpkg-query" else "", "")

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.api.objects["hosts/AROAEXAMPLE:i-1.json"])

    def execute(self, path: str, _: list[str]) -> None:
        self.executed.append(path)

    def boot(self, data: bytes, *, sha256: str = "", timeout: int = 600) -> None:
        key = "roles/web/x.tar.gz"
        self.api.objects[key] = data
        role_bundle = Bundle(key=key, sha256=sha256 or hashlib.sha256(data).hexdigest())
        host = asdict(replace(HOST, readiness_timeout=timeout, role_bundle=role_bundle))
        (self.root / "etc/webstack").mkdir(parents=True, exist_ok=True)
        (self.root / "etc/webstack/host.json").write_text(json.dumps(host))
        user_data = self.root / "var/lib/cloud/instance/user-data.txt"
        user_data.parent.mkdir(parents=True, exist_ok=True)
        user_data.write_text(f"#cloud-config\npackages: {json.dumps(PACKAGES)}\n")
        text = SCRIPT.read_text()
        for path in (
            'Path("/etc/webstack/host.json")',
            'Path("/var/lib/webstack/role-bundle.json")',
            'Path("/var/lib/cloud/instance/user-data.txt")',
        ):
            assert path in text
            text = text.replace(path, path.replace('"/', f'"{self.root}/'))
        text = text.replace('Path("/", member.name)', f'Path("{self.root}", member.name)').replace('member, "/"', f'member, "{self.root}"')
        script = self.root / "webstack-boot.py"
        script.write_text(text)
        runpy.run_path(str(script), run_name="__main__")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_bundle_is_unpacked_and_the_configuration_takes_over(host: Host) -> None:
    host.boot(bundle({"usr/local/sbin/tool": "#!/bin/sh\n"}))
    tool = host.root / "usr/local/sbin/tool"
    assert (tool.read_text(), tool.stat().st_mode & 0o777) == ("#!/bin/sh\n", 0o755)
    assert host.executed == ["/usr/local/sbin/webstack-configure"]


def test_a_bundle_that_is_here_already_is_not_fetched_again(host: Host) -> None:
    data = bundle({"etc/one": "1"})
    host.boot(data)
    host.boot(data)
    assert host.api.asked == ["roles/web/x.tar.gz"]
    assert len(host.executed) == 2


def test_what_a_new_bundle_no_longer_holds_is_taken_away(host: Host) -> None:
    host.boot(bundle({"etc/one": "1", "etc/two": "2"}))
    host.boot(bundle({"etc/two": "changed", "etc/three": "3"}))
    assert sorted(path.name for path in (host.root / "etc").iterdir() if path.is_file()) == ["three", "two"]
    assert (host.root / "etc/two").read_text() == "changed"


def test_a_bundle_with_another_hash_is_refused_told_and_taken_once_it_has_been_put_right(host: Host) -> None:
    host.attempts = 2
    with pytest.raises(StillTryingError):
        host.boot(bundle({"etc/one": "1"}), sha256="b" * 64)
    assert not (host.root / "etc/one").exists()
    assert host.executed == []
    assert (host.record["state"], host.record["host"], host.record["instance_id"]) == ("failed", "web-1", "i-1")
    assert "the user data wants " + "b" * 64 in host.record["reason"]
    assert host.api.asked == ["roles/web/x.tar.gz"] * 2


def test_an_api_that_is_down_is_asked_with_growing_pauses_and_no_failure(host: Host) -> None:
    host.api.down = 12
    host.boot(bundle({"etc/one": "1"}))
    assert host.executed == ["/usr/local/sbin/webstack-configure"]
    assert (host.record["state"], host.record["reason"]) == ("starting", "the role's bundle is not here: the API is down")
    assert host.pauses == sorted(host.pauses)
    assert (host.pauses[0], host.pauses[-1]) == (1, 15)


def test_an_api_that_is_down_for_too_long_is_a_failure_that_heals(host: Host) -> None:
    host.api.down = 3
    host.boot(bundle({"etc/one": "1"}), timeout=-1)
    assert host.record["state"] == "failed"
    assert host.executed == ["/usr/local/sbin/webstack-configure"]


def test_a_report_that_gets_lost_ends_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_metadata(*_: Any, **__: Any) -> io.BytesIO:
        raise OSError("no route")

    monkeypatch.setattr("urllib.request.urlopen", no_metadata)
    host.api.down = 1
    host.boot(bundle({"etc/one": "1"}))
    assert host.executed == ["/usr/local/sbin/webstack-configure"]


def test_packages_are_tried_until_they_are_installed_also_after_an_interrupted_one_each_time_with_a_fresh_index(host: Host) -> None:
    host.installed, host.installs_after = ["python3-boto3"], 3
    host.boot(bundle({"etc/one": "1"}))
    assert [" ".join(call) for call in host.programs if call[0] != "dpkg-query"] == [
        f"{AWAIT_APT} dpkg --force-confold --configure -a",
        f"{AWAIT_APT} apt-get -q update",
        f"{AWAIT_APT} apt-get -qy -o Dpkg::Options::=--force-confold install nginx",
    ] * 3
    assert len(host.pauses) == 2
    assert host.executed == ["/usr/local/sbin/webstack-configure"]


def test_while_somebody_else_holds_apts_locks_nothing_is_installed_and_it_is_told_who_does(host: Host) -> None:
    host.installed, host.held = [], 3
    host.boot(bundle({"etc/one": "1"}))
    assert [call[1] for call in host.programs if call[0] == AWAIT_APT] == ["dpkg"] * 4 + ["apt-get"] * 2
    assert (host.record["state"], len(host.pauses)) == ("starting", 3)
    assert host.record["reason"].endswith("dpkg waits: /var/lib/dpkg/lock is held by process 7 (apt-get)")
    assert host.executed == ["/usr/local/sbin/webstack-configure"]


def test_where_all_packages_are_there_nothing_is_installed(host: Host) -> None:
    host.boot(bundle({"etc/one": "1"}))
    assert [call[0] for call in host.programs] == ["dpkg-query"]
