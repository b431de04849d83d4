"""Session Manager's agent is installed as AWS signed it, or not at all: with throw-away keys, and gpgv itself."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.error import HTTPError

import pytest
from webstack_host import config, session_manager
from webstack_host.run import run

from .conftest import HOST, ROOT, returning

pytestmark = pytest.mark.programs

PINNED = ROOT / "userdata/common/usr/local/share/webstack/amazon-ssm-agent.asc"
URL = "https://s3.eu-central-1.amazonaws.com/amazon-ssm-eu-central-1/latest/debian_amd64/amazon-ssm-agent.deb"
PACKAGE = b"a package"


class Signer:
    """A key of its own, made for a test."""

    def __init__(self, home: Path) -> None:
        self._home = home
        home.mkdir(mode=0o700)
        self._gpg("--passphrase", "", "--quick-gen-key", "Somebody <somebody@example.org>", "ed25519", "sign")

    def public(self) -> Path:
        """Its public key, armoured as the pinned one is."""
        target = self._home / "public.asc"
        self._gpg("--armor", "--output", str(target), "--export")
        return target

    def sign(self, content: bytes) -> bytes:
        """A detached signature."""
        (self._home / "signed").write_bytes(content)
        self._gpg("--output", str(self._home / "signed.sig"), "--detach-sign", str(self._home / "signed"))
        return (self._home / "signed.sig").read_bytes()

    def _gpg(self, *options: str) -> None:
        subprocess.run(["gpg", "--batch", "--quiet", "--yes", *options], env={**os.environ, "GNUPGHOME": str(self._home)}, check=True)

    def end(self) -> None:
        """Its agent would outlive the test."""
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(self._home)}, check=True)


class Aws:
    """What AWS's bucket answers with, and what apt is told to do."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {URL: PACKAGE}
        self.installed: list[list[str]] = []

    def answer(self, url: str, **_: object) -> Any:
        """As `urlopen` does."""
        if url not in self.objects:
            raise HTTPError(url, 404, "Not Found", None, None)  # pyright: ignore[reportArgumentType]
        content = self.objects[url]

        class Answer:
            """Its content."""

            def __enter__(self) -> "Answer":
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def read(self) -> bytes:
                """All of it."""
                return content

        return Answer()

    def run(self, command: list[Any], **options: Any) -> CompletedProcess[str]:
        """gpgv runs, apt does not."""
        words = [str(word) for word in command]
        if words[0] == "gpgv":
            return run(words, **options)
        assert Path(words[-1]).read_bytes() == PACKAGE
        self.installed.append(words[:-1])
        return CompletedProcess(words, 0, "", "")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    stand_in = Aws()
    monkeypatch.setattr(config, "load_common", returning(HOST))
    monkeypatch.setattr("urllib.request.urlopen", stand_in.answer)
    monkeypatch.setattr(session_manager, "run", stand_in.run)
    return stand_in


@pytest.fixture
def signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Signer]:
    """The key that this host trusts."""
    made = Signer(tmp_path / "signer")
    monkeypatch.setattr(session_manager, "KEY", made.public())
    yield made
    made.end()


def test_a_package_with_the_right_signature_is_installed_once_nobody_holds_apts_locks(aws: Aws, signer: Signer) -> None:
    aws.objects[f"{URL}.sig"] = signer.sign(PACKAGE)
    assert session_manager.main() == 0
    assert aws.installed == [["/usr/local/sbin/webstack-await-apt", "apt-get", "install", "--yes"]]


def test_a_package_that_was_changed_is_not_installed_and_the_host_says_so(
    aws: Aws, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.objects[f"{URL}.sig"] = signer.sign(b"another package")
    assert session_manager.main() == 1
    assert aws.installed == []
    said = capsys.readouterr().err
    assert f"it is not signed by the key in {session_manager.KEY}, and not installed" in said
    assert "BAD signature" in said


def test_somebody_elses_signature_is_none(aws: Aws, signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert signer
    stranger = Signer(tmp_path / "stranger")
    aws.objects[f"{URL}.sig"] = stranger.sign(PACKAGE)
    stranger.end()
    assert (session_manager.main(), aws.installed) == (1, [])
    assert "No public key" in capsys.readouterr().err


def test_no_signature_is_none(aws: Aws, signer: Signer, capsys: pytest.CaptureFixture[str]) -> None:
    assert signer
    assert (session_manager.main(), aws.installed) == (0, []), "it may come later; the timer asks again"
    assert f"is not installed: {URL}.sig is not to be had now" in capsys.readouterr().err


@pytest.mark.parametrize("signature", [b"", b"no signature", PINNED.read_bytes()], ids=["empty", "text", "a key"])
def test_what_is_no_signature_is_refused(aws: Aws, signer: Signer, signature: bytes) -> None:
    assert signer
    aws.objects[f"{URL}.sig"] = signature
    assert (session_manager.main(), aws.installed) == (1, [])


def test_gpgv_reads_the_pinned_key(tmp_path: Path) -> None:
    (tmp_path / "package").write_bytes(PACKAGE)
    (tmp_path / "signature").write_bytes(b"none")
    with pytest.raises(session_manager.SignatureError) as raised:
        session_manager.verify(tmp_path / "package", tmp_path / "signature", PINNED)
    assert "keydb" not in str(raised.value)
    assert "invalid packet" not in str(raised.value)
