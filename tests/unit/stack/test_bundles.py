"""Bundles: the same sources give the same bytes, and what cannot be bundled is refused."""

import gzip
import hashlib
import io
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from web_role import app_bundle as host

from stack import bundles
from stack.bundles import BuiltBundle, BundleError, app_bundle, role_bundle
from stack.wheels import WheelsError
from tests.unit.conftest import NAME

pytestmark = pytest.mark.usefixtures("bundle_cache", "wheel_index")

ROOT = Path(__file__).parents[3]


def names(bundle: BuiltBundle) -> list[str]:
    assert bundle.path is not None
    with tarfile.open(bundle.path) as archive:
        return archive.getnames()


def test_the_same_sources_give_the_same_bytes_whatever_their_times_and_rights(app_dir: Path, bundle_cache: Path) -> None:
    first = app_bundle(app_dir, build=True)
    assert first.path is not None
    content = first.path.read_bytes()
    first.path.unlink()
    os.utime(app_dir / "wsgi.py", (1, 1))
    (app_dir / "wsgi.py").chmod(0o600)
    (app_dir / "__pycache__").mkdir()
    (app_dir / "__pycache__" / "wsgi.cpython-313.pyc").write_bytes(b"x")
    (app_dir / ".env").write_text("PASSWORD=hunter2")
    second = app_bundle(app_dir, build=True)
    assert second.path is not None
    assert second == first
    assert second.path.read_bytes() == content
    assert second.key == f"app/{second.sha256}.tar.gz"
    assert names(second) == ["app/pages/index.html", "app/requirements.lock", "app/run.sh", "app/wsgi.py", f"wheels/{NAME}"]


def change_text(app: Path) -> None:
    (app / "wsgi.py").write_text("app = 1\n")


def change_mode(app: Path) -> None:
    (app / "run.sh").chmod(0o644)


def change_name(app: Path) -> None:
    (app / "run.sh").rename(app / "go.sh")


def change_lock(app: Path) -> None:
    (app / "requirements.lock").write_text("greeting==1.1 --hash=sha256:00\n")


@pytest.mark.parametrize("change", [change_text, change_mode, change_name, change_lock])
def test_each_change_of_the_sources_gives_another_name(app_dir: Path, change: Callable[[Path], None]) -> None:
    before = app_bundle(app_dir, build=False).sha256
    change(app_dir)
    assert app_bundle(app_dir, build=False).sha256 != before


def test_a_preview_knows_the_name_and_fetches_nothing(app_dir: Path, wheel_index: list[Path], bundle_cache: Path) -> None:
    previewed = app_bundle(app_dir, build=False)
    assert previewed.path is None
    assert wheel_index == []
    assert not bundle_cache.exists()
    built = app_bundle(app_dir, build=True)
    assert (built.key, built.sha256) == (previewed.key, previewed.sha256)
    assert app_bundle(app_dir, build=False) == app_bundle(app_dir, build=True) == built
    assert len(wheel_index) == 1, "the second time it comes from the cache"


def test_the_sample_app_is_an_app() -> None:
    assert app_bundle(ROOT / "app", build=False).sha256 == host.manifest_hash(copy_of_sample())


def copy_of_sample() -> Path:
    import shutil

    target = Path(os.environ["WEBSTACK_CACHE"]) / "sample"
    shutil.copytree(ROOT / "app", target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def test_what_is_no_app_is_told_what_it_lacks(app_dir: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        app_bundle(app_dir / "nothing", build=False)
    (app_dir / "requirements.lock").unlink()
    with pytest.raises(BundleError, match=r"lacks requirements\.lock.*--generate-hashes"):
        app_bundle(app_dir, build=False)
    (app_dir / "wsgi.py").unlink()
    with pytest.raises(BundleError, match=r"lacks wsgi\.py"):
        app_bundle(app_dir, build=False)


def test_a_lock_without_hashes_and_a_link_are_refused(app_dir: Path) -> None:
    (app_dir / "link.py").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match=r"link\.py is a symbolic link"):
        app_bundle(app_dir, build=False)
    (app_dir / "requirements.lock").write_text("flask==3.1.3\n")
    with pytest.raises(BundleError, match=r"no hash for flask==3\.1\.3"):
        app_bundle(app_dir, build=False)
    (app_dir / "requirements.lock").write_text('flask==3.1.3 ; python_version > "3.11" --hash=sha256:00\n')
    with pytest.raises(BundleError, match=r"a condition .* for flask==3\.1\.3"):
        app_bundle(app_dir, build=False)


def test_texts_and_names_that_are_no_utf_8_are_refused(app_dir: Path) -> None:
    lock = app_dir / "requirements.lock"
    sound = lock.read_bytes()
    lock.write_bytes(b"# r\xe9solu\n" + sound)
    with pytest.raises(BundleError, match=r"requirements\.lock is no UTF-8 text \(byte 4\): resolve it anew"):
        app_bundle(app_dir, build=False)
    lock.write_bytes(sound)
    for name in (b"caf\xe9.txt", b"caf\xe9"):
        odd = Path(os.fsdecode(os.fsencode(app_dir) + b"/" + name))
        inside = odd if odd.suffix else odd / "file"
        inside.parent.mkdir(exist_ok=True)
        inside.write_text("")
        with pytest.raises(BundleError, match=r"caf\\udce9.* has a name that is no UTF-8 text: rename it"):
            app_bundle(app_dir, build=False)
        inside.unlink()


@pytest.mark.parametrize("name", ["requirements.lock", "index.html"])
def test_a_file_that_cannot_be_read_is_named(app_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    opened = Path.open

    def refusing(path: Path, mode: str = "r", *more: Any, **named: Any) -> Any:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, mode, *more, **named)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(BundleError, match=rf"{name} cannot be read \(Permission denied\): let this user read it"):
        app_bundle(app_dir, build=False)


def test_a_folder_that_cannot_be_read_is_not_left_out(app_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shut = app_dir / "shut"
    shut.mkdir()
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path) == str(shut):
            raise PermissionError(13, "Permission denied", str(shut))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(BundleError, match=r"shut cannot be read \(Permission denied\)"):
        app_bundle(app_dir, build=False)


def test_wheels_that_cannot_be_had_are_a_clear_error(app_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_index(lock: Path, folder: Path) -> list[Path]:
        raise WheelsError("pip said: no route to host")

    monkeypatch.setattr(bundles, "download_wheels", no_index)
    with pytest.raises(BundleError, match=r"requirements\.lock cannot be fetched: pip said: no route to host"):
        app_bundle(app_dir, build=True)


@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0x10000, 0x1FFFE, 200_000])
def test_a_bundle_is_plain_gzip_of_any_size_in_whatever_pieces_it_comes(size: int) -> None:
    content, whole = os.urandom(size), list[bytes]()
    for piece in (1000, 0xFFFF, size + 1):
        target = io.BytesIO()
        packed = bundles._StoredGzip(target)  # pyright: ignore[reportPrivateUsage]
        for start in range(0, size, piece):
            packed.write(content[start : start + piece])
        packed.close()
        assert gzip.decompress(target.getvalue()) == content
        whole.append(target.getvalue())
    assert len(set(whole)) == 1
    blocks = max(1, -(-size // 0xFFFF))
    assert len(whole[0]) == 10 + 5 * blocks + size + 8, "as few blocks as there can be"


def test_a_large_app_is_never_in_memory_whole(app_dir: Path) -> None:
    large = 48_000_000
    with (app_dir / "film.mp4").open("wb") as file:
        file.truncate(large)
    tracemalloc.start()
    try:
        bundle = app_bundle(app_dir, build=True)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert bundle.path is not None
    assert bundle.path.stat().st_size > large
    assert most < large / 4


@pytest.mark.parametrize("content", ["ok = 2\n", "a = 'longer'\n", ""], ids=["same length", "longer", "empty"])
def test_an_app_that_changes_while_it_is_bundled_is_no_bundle(
    app_dir: Path, bundle_cache: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (app_dir / "late.py").write_text("ok = 1\n")
    download = bundles.download_wheels

    def meanwhile(lock: Path, folder: Path) -> list[Path]:
        (app_dir / "late.py").write_text(content)
        return download(lock, folder)

    monkeypatch.setattr(bundles, "download_wheels", meanwhile)
    with pytest.raises(BundleError, match=r"late\.py was changed while its bundle was made: run `up` again"):
        app_bundle(app_dir, build=True)
    assert not [path for path in bundle_cache.rglob("*") if path.is_file()], "no half bundle is kept"


@pytest.mark.parametrize("role", ["load_balancer", "web", "database"])
def test_a_role_s_bundle_holds_its_files_and_no_template(role: str) -> None:
    bundle = role_bundle(role)
    assert bundle.path is not None
    assert bundle.key == f"roles/{role}/{hashlib.sha256(bundle.path.read_bytes()).hexdigest()}.tar.gz"
    with tarfile.open(bundle.path) as archive:
        members = archive.getmembers()
    assert "usr/local/lib/webstack/webstack_host/config.py" in [member.name for member in members]
    for member in members:
        assert member.isfile() or member.issym()
        assert not member.name.endswith((".j2", ".pyc"))
        assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
        assert member.issym() or member.mode in {0o644, 0o755}


def test_a_role_s_links_stay_links_and_two_sources_of_one_file_are_refused(tmp_path: Path) -> None:
    for path in ("common/etc/a.conf", "web/etc/b.conf"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("x")
    (tmp_path / "web" / "etc" / "c.conf").symlink_to("/etc/b.conf")
    bundle = role_bundle("web", userdata=tmp_path)
    assert bundle.path is not None
    with tarfile.open(bundle.path) as archive:
        assert archive.getmember("etc/c.conf").linkname == "/etc/b.conf"
        assert archive.getnames() == ["etc/a.conf", "etc/b.conf", "etc/c.conf"]
    (tmp_path / "web" / "etc" / "a.conf").write_text("y")
    with pytest.raises(BundleError, match=r"both userdata/common and userdata/web have etc/a\.conf"):
        role_bundle("web", userdata=tmp_path)
    with pytest.raises(BundleError, match="there is no role 'mail'"):
        role_bundle("mail", userdata=tmp_path)
