"""Builds a host image: Debian with debootstrap, packages in a chroot, and the removal of what packages leave behind.

The image is a plain directory, the lower layer of every host's overlay. It must contain nothing specific to a host: no machine id, no host
keys, no database. It uses this machine's debootstrap and its default mirror. apt verifies Debian's signatures, and debootstrap is told to:
without a keyring it would continue unverified.
"""

import gzip
import hashlib
import shutil
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab.disk_space import GIB, require_free
from lab.hypervisor.run import run
from lab.image.recipe import (
    DISABLED_UNITS,
    FILES,
    MYSQL_PACKAGES,
    MYSQL_SUITE,
    PLAIN_PACKAGES,
    PLAIN_SOURCES,
    SERVICE_UNITS,
    SUITE,
    Recipe,
    image_files,
)
from lab.image.store import ImageStore

ProgressCallback = Callable[[str], None]

_BUILD_BYTES = 2 * GIB
"""Bytes that a build needs: the tree, the packages, the downloaded MySQL; less than 1.5 GB measured."""

_CA_PATH = "usr/local/share/ca-certificates/webstack-lab.crt"
_CHROOT_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_OFFLINE": "1",
}

_APT_CONFIGURATION = """\
APT::Install-Recommends "false";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::Retries "3";
Dpkg::Use-Pty "false";
"""

_DPKG_CONFIGURATION = """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
"""

_FETCH_ONLY_SCRIPT = """\
mirror_style release
download_style apt
finddebs_style from-indices
variants - minbase
keyring /usr/share/keyrings/debian-archive-keyring.gpg
work_out_debs () { required="$WEBSTACK_DEBS"; base=""; }
"""
"""A debootstrap suite that downloads named packages, verified against the suite's signed index, and installs nothing."""


def build(store: ImageStore, recipe: Recipe, progress: ProgressCallback) -> Path:
    """Returns the image's root folder, and builds it first if it does not exist. `progress` gets one line per step."""
    if store.exists(recipe):
        return store.root(recipe)
    with store.building(recipe) as scratch:
        if not store.exists(recipe):
            require_free(scratch, _BUILD_BYTES, f"the {recipe.variant} host image")
            if recipe.variant == "plain":
                _build_plain(recipe, scratch, progress)
            else:
                _build_baked(store, recipe, scratch, progress)
    return store.root(recipe)


def _build_plain(recipe: Recipe, scratch: Path, progress: ProgressCallback) -> None:
    root = scratch / "root"
    with _step(progress, f"debootstrap {SUITE}"):
        # No mirror argument: debootstrap's own default is the machine's.
        run(["debootstrap", "--force-check-gpg", "--variant=minbase", SUITE, root], timeout=1800)
    _write(root / "etc/apt/apt.conf.d/80webstack-build", _APT_CONFIGURATION)
    _write(root / "etc/dpkg/dpkg.cfg.d/80webstack-build", _DPKG_CONFIGURATION)
    with _step(progress, f"{len(PLAIN_PACKAGES)} packages of the plain image"), _prepared_for_packages(root):
        _chroot(root, "apt-get", "update", "-q")
        _chroot(root, "apt-get", "install", "-qy", *PLAIN_PACKAGES)
    with _step(progress, "settling"):
        for file in image_files():
            target = root / file.relative_to(FILES)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        _write(root / _CA_PATH, recipe.ca_pem)
        _chroot(root, "update-ca-certificates")
        _chroot(root, "apt-get", "clean")
        _finalize(root, DISABLED_UNITS)
        _write(root / "etc/apt/sources.list", PLAIN_SOURCES)


def _build_baked(store: ImageStore, recipe: Recipe, scratch: Path, progress: ProgressCallback) -> None:
    root, fetched = scratch / "root", scratch / "mysql"
    with ThreadPoolExecutor(max_workers=1) as beside:
        fetching = beside.submit(_fetch_mysql, fetched, progress)
        plain = build(store, store.recipe("plain"), progress)
        with _step(progress, "copy of the plain image"):
            run(["cp", "-a", plain, root])
        archives = root / "var/cache/apt/archives"
        with _prepared_for_packages(root):
            _write(root / "etc/apt/sources.list", _apt_sources(plain))
            with _step(progress, f"{len(recipe.role_packages)} packages of the roles"):
                _chroot(root, "apt-get", "update", "-q")
                _chroot(root, "apt-get", "install", "-qy", *recipe.role_packages)
            debs = fetching.result()
            with _step(progress, "MySQL"):
                for deb in debs:
                    shutil.copy(deb, archives)
                _chroot(root, "apt-get", "install", "-qy", *(f"/var/cache/apt/archives/{deb.name}" for deb in debs))
                for entry in (root / "var/lib/mysql").iterdir():  # the package made a database with keys and a server id
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    with _step(progress, "packages kept, image settled"):
        _build_apt_repository(archives, store.packages_dir(recipe))
        shutil.rmtree(fetched)
        _chroot(root, "apt-get", "clean")
        _finalize(root, (*DISABLED_UNITS, *SERVICE_UNITS))


def _fetch_mysql(folder: Path, progress: ProgressCallback) -> list[Path]:
    folder.mkdir()
    script = folder / "fetch.script"
    script.write_text(_FETCH_ONLY_SCRIPT)
    with _step(progress, f"MySQL's {len(MYSQL_PACKAGES)} packages fetched"):
        run(
            [
                "debootstrap",
                "--force-check-gpg",
                "--variant=minbase",
                "--download-only",
                "--no-resolve-deps",
                MYSQL_SUITE,
                folder / "tree",
                "",
                script,
            ],
            env={"WEBSTACK_DEBS": " ".join(MYSQL_PACKAGES)},
            timeout=1800,
        )
    return sorted((folder / "tree/var/cache/apt/archives").glob("*.deb"))


def _apt_sources(plain: Path) -> str:
    """Returns the plain image's apt sources, which are kept beside its tree because a host has no package index."""
    return (plain.parent / "sources.list").read_text()


@contextmanager
def _prepared_for_packages(root: Path) -> Generator[None]:
    """Prepares the tree for installing packages: names resolve, services do not start."""
    policy, resolver = root / "usr/sbin/policy-rc.d", root / "etc/resolv.conf"
    kept = resolver.read_text() if resolver.is_file() and not resolver.is_symlink() else None
    resolver.unlink(missing_ok=True)
    shutil.copyfile("/etc/resolv.conf", resolver)
    _write(policy, "#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
        resolver.unlink()
        if kept is not None:
            _write(resolver, kept)


def _finalize(root: Path, units: tuple[str, ...]) -> None:
    """Removes what must differ between hosts, what would make a host wait for nothing, and unneeded files."""
    _chroot(root, "systemctl", "disable", *(unit for unit in units if (root / "usr/lib/systemd/system" / unit).exists()))
    _write(root / "etc/machine-id", "")  # empty: made at the first boot
    sources = root / "etc/apt/sources.list"
    if sources.exists():
        sources.rename(root.parent / "sources.list")  # with a source, cloud-init reads its index at each boot: seven seconds of retries
    for gone in ("var/lib/dbus/machine-id", "etc/hostname"):
        (root / gone).unlink(missing_ok=True)
    for emptied in ("var/lib/apt/lists", "var/log", "tmp", "var/cache/debconf"):
        for entry in (root / emptied).rglob("*"):
            if entry.is_file() and not entry.is_symlink():
                entry.unlink()


def _build_apt_repository(archives: Path, target: Path) -> None:
    """Moves the .debs to `target` and writes the index that makes them an apt repository."""
    scratch = target.with_name(f".{target.name}")
    for old in (scratch, target):
        if old.exists():
            shutil.rmtree(old)
    scratch.mkdir(parents=True)
    paragraphs: list[str] = []
    for deb in sorted(archives.glob("*.deb")):
        kept = scratch / deb.name.replace("%3a", "~")
        shutil.move(deb, kept)
        content = kept.read_bytes()
        paragraphs.append(
            f"{run(['dpkg-deb', '--field', kept]).strip()}\n"
            f"Filename: ./{kept.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        )
    index = "\n".join(paragraphs).encode()
    (scratch / "Packages").write_bytes(index)
    (scratch / "Packages.gz").write_bytes(gzip.compress(index, mtime=0))
    (scratch / "Release").write_text(
        "Suite: webstack-lab\nArchitectures: amd64 all\nSHA256:\n"
        + "".join(
            f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}\n"
            for name, content in (("Packages", index), ("Packages.gz", (scratch / "Packages.gz").read_bytes()))
        )
    )
    scratch.rename(target)


def _chroot(root: Path, *words: str) -> None:
    run(["chroot", root, "/usr/bin/env", "-i", *(f"{key}={value}" for key, value in _CHROOT_ENVIRONMENT.items()), *words], timeout=1800)


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@contextmanager
def _step(progress: ProgressCallback, what: str) -> Generator[None]:
    start = time.monotonic()
    progress(f"{what} …")
    yield
    progress(f"{what}: {time.monotonic() - start:.1f} s")
