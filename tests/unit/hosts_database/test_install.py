"""MySQL's packages: where they come from, and a server whose setting up fails."""

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from database_role import install
from webstack_host.packages import AWAIT_APT

from .support import Runs, returning


def test_mysqls_repository_is_added_only_where_apt_knows_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write(path: Path, _: str) -> None:
        written.append(str(path))

    monkeypatch.setattr(install.files, "write", write)
    monkeypatch.setattr(install, "run", Runs(apt_cache=(0, "mysql-server:\n  Installed: (none)\n  Candidate: 9.7.4-2\n")))
    install._ensure_apt_source()  # pyright: ignore[reportPrivateUsage]
    assert written == []
    monkeypatch.setattr(install, "run", Runs(apt_cache=(0, "mysql-server:\n  Installed: (none)\n  Candidate: (none)\n")))
    with pytest.raises(RuntimeError, match=r"can this host reach repo\.mysql\.com"):
        install._ensure_apt_source()  # pyright: ignore[reportPrivateUsage]
    assert written == ["/etc/apt/sources.list.d/mysql.sources"]


def test_the_repository_is_the_lts_release_for_debian_13_signed_by_the_key_in_the_bundle() -> None:
    key = Path(__file__).parents[3] / "userdata/database" / str(install.paths.MYSQL_KEY).lstrip("/")
    assert "Suites: trixie\nComponents: mysql-9.7-lts\n" in install.REPOSITORY
    assert f"Signed-By: {install.paths.MYSQL_KEY}\n" in install.REPOSITORY
    assert key.read_text().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")


class Dpkg:
    """Stands for apt and dpkg: setting the server up fails as often as told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.state = ""
        self.calls: list[str] = []

    def __call__(self, command: list[Any], **_: Any) -> CompletedProcess[str]:
        words = [str(word) for word in command]
        self.calls.append(" ".join(words))
        out = ""
        if words[0] == "dpkg-query" and self.state:
            out = f"mysql-common installed\nmysql-community-server {self.state}\n"
        if words[0] == "apt-cache":
            out = "  Candidate: 9.7.4-2\n"
        if words[0] == "unshare":
            self.state = "half-configured" if self.failures else "installed"
            self.failures -= 1
            if self.failures >= 0:
                raise install.CommandError("apt-get: exit code 100")
        return CompletedProcess(words, 0, out, "")


@pytest.fixture
def bare_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host without a server; gives the log that an installation writes."""
    monkeypatch.setattr(install, "SCRATCH", tmp_path / "scratch")
    monkeypatch.setattr(install, "ERROR_LOG", tmp_path / "error.log")
    monkeypatch.setattr(install.files, "directory", returning(None))
    monkeypatch.setattr(install.services, "disable_vendor_units", returning(None))
    monkeypatch.setattr(install.shutil, "which", returning(None))
    return tmp_path / "error.log"


def test_a_server_whose_setting_up_fails_is_set_up_once_more(monkeypatch: pytest.MonkeyPatch, bare_host: Path) -> None:
    dpkg = Dpkg(failures=1)
    monkeypatch.setattr(install, "run", dpkg)
    install.install()
    assert [call.rpartition(" sh ")[2].split()[2:] for call in dpkg.calls if call.startswith("unshare")][1] == [
        AWAIT_APT,
        "dpkg",
        "--configure",
        "--pending",
    ]
    assert dpkg.calls[-1] == f"{AWAIT_APT} apt-mark hold mysql-common mysql-community-server"


def test_whatever_takes_a_lock_of_apts_waits_for_all_of_them(monkeypatch: pytest.MonkeyPatch, bare_host: Path) -> None:
    dpkg = Dpkg(failures=1)
    monkeypatch.setattr(install, "run", dpkg)
    candidates = iter([False, True])
    monkeypatch.setattr(install, "_candidate", lambda: next(candidates))
    install.install()
    locking = [call.split() for call in dpkg.calls if {"apt-get", "dpkg", "apt-mark"} & set(call.split())]
    assert len(locking) == 4
    for words in locking:
        assert AWAIT_APT in words
        assert words[words.index(AWAIT_APT) + 1] in ("apt-get", "dpkg", "apt-mark")


def test_a_server_that_cannot_be_set_up_is_shown_with_its_own_words(monkeypatch: pytest.MonkeyPatch, bare_host: Path) -> None:
    bare_host.write_text("[ERROR] [MY-012574] Unable to lock ./ibdata1\n")
    monkeypatch.setattr(install, "run", Dpkg(failures=2))
    with pytest.raises(install.CommandError, match="Unable to lock"):
        install.install()


def test_what_an_earlier_boot_left_half_done_is_finished(monkeypatch: pytest.MonkeyPatch, bare_host: Path) -> None:
    dpkg = Dpkg(failures=0)
    dpkg.state = "half-configured"
    monkeypatch.setattr(install.shutil, "which", returning("/usr/sbin/mysqld"))
    monkeypatch.setattr(install, "run", dpkg)
    assert not install.installed()
    install.install()
    assert install.installed()
    assert not any("install mysql-server" in call for call in dpkg.calls)
