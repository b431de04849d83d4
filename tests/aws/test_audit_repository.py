"""The scanners of the repository itself are shown to bite: a planted secret, a planted shell, a package with a known vulnerability."""

import json
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audit import baseline, dependencies, repository
from audit.dependencies import UnreachableError
from audit.findings import AuditError, Finding

HASH = f"--hash=sha256:{'0' * 64}"
ID = "CVE-2026-1"
KNOWN = {"vulns": [{"id": "GHSA-0000-0000-0000", "aliases": [ID], "summary": "bad", "affected": []}]}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Some of the repository, as a clone of its own."""
    for name in ("tools/setup", "audit/scanners.py", "tests/unit/sources.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((baseline.FILE.parents[1] / name).read_bytes())
    return tmp_path


def new(found: list[Finding]) -> set[tuple[str, str]]:
    """The check and file of what the reviewed file does not know."""
    return {(one.check, one.resource.split()[0]) for one in baseline.classify(found, baseline.load(), complete=False).new}


# Put together here, or they would be found in this file.
PLANTED = {
    "AWS Access Key": f"key = 'AKIA{'QYLPMN5HHHFPZ2XB'}'",
    "Private Key": f"-----BEGIN RSA {'PRIVATE'} KEY-----\nMIIE\n",
    "Secret Keyword": f"database_{'password'} = 'correct-horse-battery'",
    "Base64 High Entropy String": "value = '" + "aGVsbG8td" + "GhpcyIpc" + "y1hLXZlc" + "nkStcmFuZ" + "G9tLXRleH" + "QxMjM0NTY" + "'",
}


def test_a_planted_secret_is_found_in_programs_texts_and_tests_and_a_comment_does_not_hide_it(clone: Path) -> None:
    for number, text in enumerate(PLANTED.values()):
        (clone / f"tools/planted{number}").write_text(text)
        (clone / f"stack{number}.py").write_text(f"{text}  # pragma: allowlist secret\n")
    (clone / "tests" / "test_key.py").write_text(PLANTED["AWS Access Key"])
    names = sorted(path.relative_to(clone).as_posix() for path in clone.rglob("*") if path.is_file())
    found = new(repository.scan_secrets(clone, names))
    wanted = {(kind, f"{place}") for number, kind in enumerate(PLANTED) for place in (f"tools/planted{number}", f"stack{number}.py")}
    assert found >= wanted | {("AWS Access Key", "tests/test_key.py")}


def test_nothing_that_is_printed_holds_the_secret(clone: Path) -> None:
    (clone / "planted.py").write_text(PLANTED["Secret Keyword"])
    (finding,) = repository.scan_secrets(clone, ["planted.py"])
    assert "correct-horse" not in repr(finding)


def test_a_shell_that_is_given_a_value_is_found_in_modules_and_programs(clone: Path) -> None:
    shell = "import subprocess\n\n\ndef f(name):\n    subprocess.run(f'touch {name}', shell=True)  # nosec\n"
    (clone / "lab.py").write_text(shell)
    (clone / "tools" / "webstack-x").write_text(f"#!/usr/bin/python3\n{shell}")
    (clone / "tests" / "test_x.py").write_text(shell)
    found = new(repository.scan_code(clone, ["lab.py", "tools/webstack-x", "tools/setup", "tests/test_x.py"]))
    assert {("B602:subprocess_popen_with_shell_equals_true", f"{name}:f") for name in ("lab.py", "tools/webstack-x")} <= found
    assert not [place for _, place in found if place.startswith("tests/")]


def test_a_program_that_cannot_be_read_fails_the_audit(clone: Path) -> None:
    (clone / "lab.py").write_text("def f(:\n")
    with pytest.raises(AuditError, match=rf"Bandit could not read:\n  {clone}/lab.py: syntax error"):
        repository.scan_code(clone, ["lab.py"])


def test_new_files_of_a_clone_are_looked_at_and_what_git_ignores_is_not(clone: Path) -> None:
    with pytest.raises(AuditError, match="by git"):
        repository.list_files(clone)
    root = baseline.FILE.parents[1]
    names = repository.list_files(root)
    assert "audit/baseline.yaml" in names
    assert not [name for name in names if name.startswith((".venv/", "build/"))]


class Service:
    """A service of vulnerabilities, which knows `known` of flask, and answers `statuses` in turn, then 200."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.statuses: list[int] = []
        self.asked: list[tuple[str, str]] = []


@contextmanager
def serving() -> Generator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service.asked.append((body["package"]["name"], body["version"]))
            answer = json.dumps(KNOWN if body["package"]["name"] == "flask" else {}).encode()
            self.send_response(service.statuses.pop(0) if service.statuses else 200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service = Service(f"http://127.0.0.1:{server.server_port}/v1/query")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def service() -> Generator[Service]:
    with serving() as one:
        yield one


@pytest.fixture
def lock(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str) -> Path:
        path = tmp_path / "constraints.txt"
        path.write_text("".join(f"{line} {HASH}\n" for line in lines))
        return path

    return write


def test_a_package_with_a_known_vulnerability_is_new(service: Service, lock: Callable[..., Path], tmp_path: Path) -> None:
    found = dependencies.scan(tmp_path, [lock("jinja2==3.1.6", "flask==3.1.3")], service.url)
    assert [(one.check, one.resource) for one in found] == [(ID, "constraints.txt: flask 3.1.3")]
    assert new(found)
    assert {("jinja2", "3.1.6"), ("flask", "3.1.3")} <= set(service.asked)


def test_packages_of_which_nothing_is_known_are_no_findings(service: Service, lock: Callable[..., Path], tmp_path: Path) -> None:
    assert dependencies.scan(tmp_path, [lock("jinja2==3.1.6")], service.url) == []


def test_a_service_that_is_not_there_is_said_and_is_no_finding(lock: Callable[..., Path], tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1/query"
        with pytest.raises(UnreachableError, match=rf"{url}.*refused"):
            dependencies.scan(tmp_path, [lock("flask==3.1.3")], url)


@pytest.mark.parametrize("statuses", [[503], [200, 503]], ids=["at once", "in the middle"])
def test_a_service_that_fails_is_not_taken_for_one_that_knows_nothing(
    service: Service, lock: Callable[..., Path], tmp_path: Path, statuses: list[int]
) -> None:
    service.statuses = statuses
    with pytest.raises(UnreachableError, match="http://127"):
        dependencies.scan(tmp_path, [lock("jinja2==3.1.6")], service.url)


def test_every_lock_is_asked_for() -> None:
    root = baseline.FILE.parents[1]
    assert {path.relative_to(root).as_posix() for path in dependencies.lock_files(root)} == {
        name for name in repository.list_files(root) if name.endswith((".txt", ".lock")) and "--hash=sha256:" in (root / name).read_text()
    }
