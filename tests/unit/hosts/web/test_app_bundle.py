"""A bundle on a host: installed without a network, and only where it is the one that the host's variables name."""

import ensurepip
import io
import subprocess
import tarfile
from pathlib import Path
from unittest.mock import Mock

import pytest
from web_role import app_bundle as host

from stack.bundles import BuiltBundle, app_bundle

pytestmark = pytest.mark.usefixtures("bundle_cache", "wheel_index")


def pip_wheels() -> Path:
    """Where this machine's Python keeps the wheel of pip that virtual environments start with."""
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    return bundled if any(bundled.glob("pip-*.whl")) else Path("/usr/share/python-wheels")


def install(bundle: BuiltBundle, target: Path, sha256: str | None = None) -> Path:
    assert bundle.path is not None
    return host.install(bundle.path, sha256 or bundle.sha256, target, pip_wheels=pip_wheels())


@pytest.mark.programs
def test_a_host_installs_the_bundle_without_a_network_and_switches_to_it(
    app_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "opt"
    first = install(app_bundle(app_dir, build=True), target)
    assert (target / "current").resolve() == first
    assert not (first / "wheels").exists()
    assert list(first.glob("app/__pycache__/wsgi.*.pyc")), "bytecode is there: the service may not write it"
    assert subprocess.run([first / "venv/bin/greet"], capture_output=True, text=True, check=True).stdout == "hello\n"
    assert (first / "app" / "run.sh").stat().st_mode & 0o777 == 0o755
    times = {(first / "app" / name).stat().st_mtime for name in ("wsgi.py", "run.sh", "pages/index.html")}
    assert len(times) == 3, "other content, another time"

    stamp = (first / ".installed").stat().st_mtime_ns
    assert install(app_bundle(app_dir, build=True), target) == first
    assert (first / ".installed").stat().st_mtime_ns == stamp, "the second time nothing is done"

    (app_dir / "wsgi.py").write_text("app = 1\n")
    monkeypatch.setattr(subprocess, "run", Mock(return_value=Mock(returncode=0)))  # seen above: pip takes its time
    second = install(app_bundle(app_dir, build=True), target)
    assert (target / "current").resolve() == second
    assert first.is_dir(), "the release before stays"


def test_a_host_refuses_sources_that_are_not_those_named_and_keeps_what_it_had(app_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "opt"
    with pytest.raises(host.BundleError, match="have the hash"):
        install(app_bundle(app_dir, build=True), target, "0" * 64)
    assert not (target / "current").exists()
    assert list((target / "releases").iterdir()) == []


def archive_of(path: Path, **members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members.values():
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
    return made


@pytest.mark.parametrize(
    "evil",
    [
        member("../evil"),
        member("app/../../../../evil"),
        member("/etc/evil"),
        member("app/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("app/hard", tarfile.LNKTYPE, "app/wsgi.py"),
        member("app/device", tarfile.CHRTYPE),
        member("etc/passwd"),
    ],
    ids=lambda evil: str(evil.name),
)
def test_a_host_unpacks_nothing_outside_of_the_release(tmp_path: Path, evil: tarfile.TarInfo) -> None:
    tarball = archive_of(tmp_path / "evil.tar.gz", good=member("app/wsgi.py"), evil=evil)
    target = tmp_path / "opt"
    with pytest.raises(host.BundleError):
        host.install(tarball, "0" * 64, target)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["evil.tar.gz", "opt", "opt/releases"]


def test_a_damaged_bundle_and_a_missing_pip_are_told(app_dir: Path, tmp_path: Path) -> None:
    bundle = app_bundle(app_dir, build=True)
    assert bundle.path is not None
    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes(bundle.path.read_bytes()[:700])
    with pytest.raises(host.BundleError, match=r"damaged\.tar\.gz cannot be unpacked|the bundle has no app/"):
        host.install(damaged, bundle.sha256, tmp_path / "opt")
    with pytest.raises(host.BundleError, match="python3-venv is missing"):
        host.install(bundle.path, bundle.sha256, tmp_path / "opt", pip_wheels=tmp_path)


@pytest.mark.programs
def test_a_wheel_that_is_not_the_lock_s_is_refused(app_dir: Path, tmp_path: Path) -> None:
    (app_dir / "requirements.lock").write_text(f"greeting==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(host.BundleError, match=r"(?i)hash"):
        install(app_bundle(app_dir, build=True), tmp_path / "opt")
    assert not (tmp_path / "opt" / "current").exists()
