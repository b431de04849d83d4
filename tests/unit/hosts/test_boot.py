"""The boot script: the one program that travels in user data."""

import hashlib
import io
import json
import runpy
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .conftest import HOST, ROOT, returns

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

    def client(self, service: str, **_: Any) -> "Api":
        return self

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  boto3's own names
        self.asked.append(Key)
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[Key] = Body

    def get_caller_identity(self) -> dict[str, str]:
        return {"UserId": "AROAEXAMPLE:i-1"}


class Host:
    """A host's disk below a folder, on which the script runs."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.api = Api({})
        self.executed: list[str] = []
        boto3, botocore = ModuleType("boto3"), ModuleType("botocore.config")
        boto3.client = self.api.client  # pyright: ignore[reportAttributeAccessIssue]
        botocore.Config = dict  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, "boto3", boto3)
        monkeypatch.setitem(sys.modules, "botocore.config", botocore)
        monkeypatch.setattr("os.execv", self.execute)
        monkeypatch.setattr("time.sleep", returns(None))
        monkeypatch.setattr("urllib.request.urlopen", self.metadata)

    def metadata(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(b"i-1")

    def execute(self, path: str, _: list[str]) -> None:
        self.executed.append(path)

    def boot(self, data: bytes, *, sha256: str = "", timeout: int = 600) -> None:
        key = "roles/web/x.tar.gz"
        self.api.objects[key] = data
        host = {**HOST, "readiness_timeout": timeout, "role_bundle": {"key": key, "sha256": sha256 or hashlib.sha256(data).hexdigest()}}
        (self.root / "etc/webstack").mkdir(parents=True, exist_ok=True)
        (self.root / "etc/webstack/host.json").write_text(json.dumps(host))
        text = SCRIPT.read_text()
        for path in ('Path("/etc/webstack/host.json")', 'Path("/var/lib/webstack/role-bundle.json")'):
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


def test_a_bundle_with_another_hash_is_refused_and_told(host: Host) -> None:
    with pytest.raises(SystemExit, match="the user data wants " + "b" * 64):
        host.boot(bundle({"etc/one": "1"}), sha256="b" * 64)
    assert not (host.root / "etc/one").exists()
    assert host.executed == []
    record = json.loads(host.api.objects["hosts/AROAEXAMPLE:i-1.json"])
    assert (record["state"], record["host"], record["instance_id"]) == ("failed", "web-1", "i-1")
    assert "b" * 64 in record["detail"][0]
