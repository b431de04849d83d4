"""Every rendered artefact is accepted by its own program, on the lab's image, for both stack files and every choice that changes it.

Nothing boots. Each check is shown to fire: the same artefact with one thing wrong in it must be refused.
"""

import subprocess
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from load_balancer_role.variables import BackendMode, Balance
from webstack_host.variables import Role

from stack.roles import ROLES
from tests.lab.host_artifacts import USER_DATA, StackCase, build_tree, run_in_image

DEV, PROD = StackCase(stack="dev"), StackCase(stack="prod")
MYSQL = "/etc/mysql/mysql.conf.d/zz-webstack.cnf"
UNITS = "etc/systemd/system"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One program's judgement of one artefact of a role, and an edit that it must not let pass."""

    role: Role
    artefact: str
    command: tuple[str, ...]
    sound: str
    broken: str
    expected_warning: str = ""
    """A line that the program prints because nothing is booted here."""

    def __str__(self) -> str:
        return f"{self.role}-{Path(self.artefact).name}"


HAPROXY = Check(
    role="load_balancer",
    artefact="/etc/haproxy/haproxy.cfg",
    command=("haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"),
    sound="  balance ",
    broken="  balance sideways ",
)
KEEPALIVED = Check(
    role="load_balancer",
    artefact="/etc/keepalived/keepalived.conf",
    command=("keepalived", "--config-test", "--log-console", "--use-file", "/etc/keepalived/keepalived.conf"),
    sound="virtual_router_id 51",
    broken="virtual_router_id 351",
)
NGINX = Check(role="web", artefact="/etc/nginx/nginx.conf", command=("nginx", "-t"), sound="sendfile on;", broken="sendfile maybe;")
PROXY = Check(
    role="web",
    artefact="/etc/webstack/database-proxy.cfg",
    command=("haproxy", "-c", "-f", "/etc/webstack/database-proxy.cfg"),
    sound="track writes/",
    broken="track nobody/",
)
MYSQLD = Check(
    role="database",
    artefact=MYSQL,
    command=("mysqld", f"--defaults-file={MYSQL}", "--user=mysql", "--validate-config"),
    sound="gtid_mode=ON",
    broken="gtid_mood=ON",
)


def schema(role: Role) -> Check:
    """cloud-init's own schema for the user data of a role."""
    command = ("cloud-init", "schema", "--config-file", USER_DATA)
    return Check(
        role=role,
        artefact=USER_DATA,
        command=command,
        sound="ssh_pwauth: false",
        broken="ssh_pwauth: [1]",
        expected_warning="WARNING]: datasource not detected, using default",
    )


CHECKS = [HAPROXY, KEEPALIVED, NGINX, PROXY, MYSQLD, *map(schema, ROLES)]
CHOICES = [
    StackCase(stack="dev", changes={"loadBalancer": {"balance": balance, "backendMode": backend_mode}})
    for balance, backend_mode in product(get_args(Balance), get_args(BackendMode))
]
SECRET = StackCase(stack="dev", changes={"loadBalancer": {"tls": {"mode": "secret", "secret": "site/pem"}}})
ALONE = StackCase(stack="dev", changes={"database": {"replica": False}})

EVERY = [
    *product([DEV, PROD], CHECKS),
    *product(CHOICES, [HAPROXY]),
    (SECRET, schema("load_balancer")),
    *product([ALONE], [PROXY, MYSQLD, schema("database")]),
]

VERIFIED = {"load_balancer": "webstack-elastic-ip.service", "web": "webstack-app.service", "database": "webstack-database-agent.service"}
"""Of each role one unit, to be broken."""


@pytest.mark.parametrize(("case", "check"), EVERY, ids=str)
def test_an_artefact_is_accepted_by_its_own_program(tmp_path: Path, case: StackCase, check: Check) -> None:
    judged = _run(check, build_tree(case, check.role, tmp_path / "tree"), tmp_path)
    assert judged.returncode == 0, judged.stdout
    unexpected = [line for line in judged.stdout.splitlines() if not check.expected_warning or check.expected_warning not in line]
    assert [line for line in unexpected if "warning" in line.lower() or "deprecated" in line.lower()] == []


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_a_broken_artefact_is_refused(tmp_path: Path, check: Check) -> None:
    tree = build_tree(DEV, check.role, tmp_path / "tree")
    _edit(tree / check.artefact.lstrip("/"), check.sound, check.broken)
    judged = _run(check, tree, tmp_path)
    assert judged.returncode != 0, judged.stdout


@pytest.mark.parametrize("role", ROLES)
def test_systemd_accepts_every_unit_of_ours(tmp_path: Path, role: Role) -> None:
    """Units and drop-ins are static, so one stack's tree shows them all."""
    tree = build_tree(DEV, role, tmp_path / "tree")
    judged = _verify(tree, tmp_path)
    assert (judged.returncode, judged.stdout) == (0, "")


@pytest.mark.parametrize("role", ROLES)
def test_a_broken_unit_is_refused(tmp_path: Path, role: Role) -> None:
    tree = build_tree(DEV, role, tmp_path / "tree")
    _edit(tree / UNITS / VERIFIED[role], "Restart=always", "Restart=perhaps")
    judged = _verify(tree, tmp_path)
    assert judged.returncode != 0
    assert VERIFIED[role] in judged.stdout


@pytest.mark.parametrize("role", ROLES)
def test_shell_scripts_pass_shellcheck(tmp_path: Path, role: Role) -> None:
    scripts = _shell_scripts(build_tree(DEV, role, tmp_path / "tree"))
    assert scripts
    judged = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("role", ROLES)
def test_a_careless_shell_script_is_refused(tmp_path: Path, role: Role) -> None:
    tree = build_tree(DEV, role, tmp_path / "tree")
    scripts = _shell_scripts(tree)
    scripts[0].write_text(scripts[0].read_text() + "rm -r $1\n")
    judged = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert judged.returncode != 0


def _run(check: Check, tree: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return run_in_image(tree, tmp_path / "scratch", *check.command)


def _verify(tree: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """systemd's judgement of every unit that we bring, and of every packaged one that a drop-in of ours changes."""
    names = {entry.name.removesuffix(".d") for entry in (tree / UNITS).iterdir()}
    units = sorted(name for name in names if name.endswith((".service", ".timer", ".target")))
    assert "webstack.target" in units
    command = ("env", "SYSTEMD_LOG_TARGET=console", "systemd-analyze", "verify", "--man=no", "--recursive-errors=one", *units)
    return run_in_image(tree, tmp_path / "scratch", *command)


def _edit(file: Path, sound: str, broken: str) -> None:
    text = file.read_text()
    assert sound in text
    file.write_text(text.replace(sound, broken, 1))


def _shell_scripts(tree: Path) -> list[Path]:
    files = sorted(file for file in tree.rglob("*") if file.is_file() and not file.is_symlink() and file.is_relative_to(tree))
    return [file for file in files if "venv" not in file.parts and file.read_bytes().startswith((b"#!/bin/sh", b"#!/bin/bash"))]
