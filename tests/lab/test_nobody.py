"""A user of this machine who is not root, beside a running lab: nothing of it can be called, read or run by them."""

import base64
import contextlib
import http.client
import os
import pickle
import pwd
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lab import admin_keys
from lab.names import STATE_ROOT
from lab.processes import read_pid_file
from tests.lab.harness import REGION, LabUnderTest

T = TypeVar("T")

NOBODY = pwd.getpwnam("nobody")
TARGET = {"X-Amz-Target": "secretsmanager.ListSecrets", "Content-Type": "application/x-amz-json-1.1"}
PREFLIGHT = {
    "Origin": "https://evil.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,x-amz-target",
}
ID = "/usr/bin/id"
SETUID = "/usr/local/bin/id-of-root"
Answer = tuple[int, dict[str, str], bytes]


def as_nobody(attempt: Callable[[], T]) -> T:
    """What `attempt` returns, or raises, in a copy of this process that is the user `nobody`.

    A copy, because this program's interpreter need not be one that nobody may run.
    """
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        outcome: tuple[bool, object]
        try:
            os.setgroups([])
            os.setresgid(NOBODY.pw_gid, NOBODY.pw_gid, NOBODY.pw_gid)
            os.setresuid(NOBODY.pw_uid, NOBODY.pw_uid, NOBODY.pw_uid)
            outcome = True, attempt()
        except BaseException as error:
            outcome = False, error
        with contextlib.suppress(BaseException), os.fdopen(writable, "wb") as sending:
            sending.write(pickle.dumps(outcome))
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as receiving:
        content = receiving.read()
    os.waitpid(child, 0)
    worked, result = pickle.loads(content)  # noqa: S301 - of this program's own making
    if worked:
        return result
    raise result


def ask(lab: LabUnderTest, method: str, headers: Mapping[str, str], body: bytes | None = b"{}") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", lab.names.api_port, timeout=30)
    connection.request(method, "/", body=body, headers=dict(headers))
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def signed(lab: LabUnderTest, key: str, secret: str) -> Mapping[str, str]:
    """The headers of a ListSecrets."""
    request = AWSRequest("POST", f"{lab.names.api_endpoint}/", data=b"{}", headers=dict(TARGET))
    signer: Any = SigV4Auth(Credentials(key, secret), "secretsmanager", REGION)
    signer.add_auth(request)
    return dict(request.headers.items())


def test_the_api_answers_no_made_up_key_and_nobody_without_one(lab: LabUnderTest) -> None:
    own = admin_keys.read_admin_key(lab.names)
    status, _, body = ask(lab, "POST", signed(lab, own.access_key_id, own.secret))
    assert (status, b"app-writer" in body) == (200, True), "the administrator's call, so that the refusals below mean something"
    for headers, code in (
        (TARGET, b"AccessDenied"),
        (signed(lab, "lab", "lab"), b"UnrecognizedClientException"),
        (signed(lab, own.access_key_id, "lab"), b"InvalidSignatureException"),
    ):
        status, _, body = as_nobody(lambda headers=headers: ask(lab, "POST", headers))
        assert status in (400, 403)
        assert code in body
        assert b"app-writer" not in body
    status, _, body = as_nobody(lambda: ask(lab, "GET", {}, None))
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)


def test_the_labs_processes_listen_on_this_machine_at_the_apis_door_alone(lab: LabUnderTest) -> None:
    found = {name: listening(lab, name) for name in ("daemon", "api")}
    assert found == {"daemon": {f"0100007F:{lab.names.api_port:04X}"}, "api": set()}


def listening(lab: LabUnderTest, process: str) -> set[str]:
    """Where one of the lab's processes listens for TCP in this machine's own network, as /proc/net/tcp puts it."""
    running = read_pid_file(lab.names.pid_file(process))
    assert running is not None
    links = {str(link.readlink()) for link in Path(f"/proc/{running.pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path("/proc/net", table).read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links}


def test_a_page_in_a_browser_is_refused(lab: LabUnderTest) -> None:
    own = admin_keys.read_admin_key(lab.names)
    by_the_administrator = {**signed(lab, own.access_key_id, own.secret), "Origin": "https://evil.example"}
    for method, headers in (("OPTIONS", PREFLIGHT), ("POST", by_the_administrator)):
        status, answered, body = as_nobody(lambda method=method, headers=headers: ask(lab, method, headers))
        assert status == 403
        assert b"app-writer" not in body
        assert not [name for name in answered if name.startswith("access-control-")]


def refused(what: str, attempt: Callable[[], object]) -> str | None:
    """What worked although it should not have."""
    try:
        attempt()
    except PermissionError:
        return None
    return what


def test_nothing_of_the_state_is_read_and_no_socket_opened(lab: LabUnderTest) -> None:
    state = lab.names.state_dir
    disks = [folder / "disk" for folder in lab.names.machines_dir.iterdir()]
    kept = [path for path in state.rglob("*") if not any(disk in path.parents for disk in disks)]
    kept += [disk / "upper" / name for disk in disks for name in ("etc/shadow", "var/log", "var/lib/webstack")]
    folders = [STATE_ROOT, STATE_ROOT / "labs", state, *disks, *(path for path in kept if path.is_dir())]
    sockets = [path for path in kept if path.is_socket()]
    files = [path for path in kept if path.is_file()]
    named = {path.name for path in kept}
    assert {"keys.json", "passphrase", "daemon.log", "calls.jsonl", "root.img"} <= named
    assert {"daemon.sock", "api.sock"} <= {path.name for path in sockets}
    assert any(name.startswith("vol-") for name in named)

    images = [path for path in kept if path.suffix == ".img"]
    assert [path for path in (*state.iterdir(), *images) if path.stat().st_mode & 0o077] == [], (
        "were they reached, they would be closed too"
    )

    def try_all() -> list[str]:
        tried = [refused(f"list {folder}", lambda folder=folder: list(folder.iterdir())) for folder in folders]
        tried += [refused(f"read {file}", lambda file=file: os.close(os.open(file, os.O_RDONLY))) for file in files]
        tried += [refused(f"call {path}", lambda path=path: socket.socket(socket.AF_UNIX).connect(str(path))) for path in sockets]
        return [worked for worked in tried if worked]

    assert as_nobody(try_all) == []


def test_what_a_host_leaves_runs_as_root_on_the_host_alone(lab: LabUnderTest) -> None:
    program = base64.b64encode(Path(ID).read_bytes()).decode()  # this machine's: the host's may want newer libraries than there are here
    lab.run_on("web-1", "sh", "-c", f'echo "$1" | base64 --decode > {SETUID} && chmod 4755 {SETUID}', "sh", program)
    try:
        in_the_guest = lab.run_on("web-1", "setpriv", "--reuid=65534", "--clear-groups", SETUID, "--user")
        assert in_the_guest.strip() == "0", "there it is a program like any other"
        path = lab.names.machine_dir(str(lab.hosts()["web-1"]["instance_id"])) / f"upper{SETUID}"
        assert path.stat().st_mode & 0o4000
        with pytest.raises(PermissionError):
            as_nobody(lambda: run(path))
        opened = os.open(path, os.O_RDONLY)  # by root: whoever has come by it, past all folders
        os.set_inheritable(opened, True)
        try:
            assert as_nobody(lambda: run(opened)) == str(NOBODY.pw_uid)
        finally:
            os.close(opened)
    finally:
        lab.run_on("web-1", "rm", SETUID)


def run(program: Path | int) -> str:
    """What `id --user` prints; raises what the kernel says where it does not run it."""
    readable, writable = os.pipe()
    failed, failure = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writable, 1)
        try:
            os.execve(program, ["id", "--user"], {})
        except OSError as error:
            os.write(failure, str(error.errno).encode())
        os._exit(1)
    os.close(writable)
    os.close(failure)
    with os.fdopen(readable) as printed, os.fdopen(failed) as told:
        text, number = printed.read().strip(), told.read()
    os.waitpid(child, 0)
    if number:
        raise OSError(int(number), os.strerror(int(number)))
    assert re.fullmatch(r"\d+", text)
    return text
