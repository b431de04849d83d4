"""The lab under test, driven by the very commands that a user types.

But for what is asked again and again: the hosts and commands on them. That goes the commands' own ways in this process: a new one takes
0.7 s of a processor, more than most answers.
"""

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import httpx

from lab import aws_clients
from lab.aws_clients import ClientFactory
from lab.errors import LabError
from lab.lab_handle import LabHandle
from lab.names import LabNames
from lab.paths import REPOSITORY
from ops.hosts import command_environment, list_hosts, nsenter_command
from tests.program_files import stack_file

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

T = TypeVar("T")

REGION = "eu-central-1"
ENGINE_COMMANDS = ("up", "preview", "refresh", "destroy")
TIMEOUT_FACTOR = float(os.environ.get("WEBSTACK_TEST_SLOWNESS", "1"))
"""One factor for every deadline, for slow machines."""

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
"""Which of the workers that share the tests out among them this is."""


def worker_lab_name(name: str) -> str:
    """The name of a lab of this worker: each has labs of its own."""
    return name if WORKER == "gw0" else f"{name[: 7 - len(WORKER)]}-{WORKER}"


def is_test_lab(lab: str) -> bool:
    """Whether a lab of that name is the tests'."""
    return lab.startswith(("test", "struck", "plain", "power", "cramped")) or re.search(r"-gw\d+$", lab) is not None


class CommandFailedError(AssertionError):
    """A `webstack` command ended with another status than expected; the message holds what it printed."""


class HostTable(dict[str, dict[str, str | bool]]):
    """Rows of `status` by host name; one that is not listed is a failed assertion."""

    def __missing__(self, name: str) -> dict[str, str | bool]:
        raise AssertionError(f"status lists no {name}, only {', '.join(sorted(self))}")


@dataclass(frozen=True, kw_only=True)
class LabUnderTest:
    """A lab by its name. `clone` is where its program comes from: a changed copy for tests that change the program.

    The stack is the tests' own, whatever the clone's file of its name says.
    """

    name: str
    clone: Path = REPOSITORY
    stack: str = "dev"
    site: str = ""
    """The name that visitors ask for; empty for the address of the URL."""

    @property
    def names(self) -> LabNames:
        return LabNames.of(self.name)

    def command(self, *arguments: str, status: int = 0, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Runs `webstack lab …`; raises CommandFailedError where its exit status is not `status`."""
        given = ("--config-file", str(stack_file(self.stack))) if arguments[0] in ENGINE_COMMANDS else ()
        line = [sys.executable, "-m", "ops", "lab", *arguments, *given, "--lab", self.name]
        result = subprocess.run(
            line,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout * TIMEOUT_FACTOR,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(self.clone), "NO_COLOR": "1"},
        )
        if result.returncode != status:
            raise CommandFailedError(
                f"webstack lab {' '.join(arguments)}: status {result.returncode}\n{result.stdout[-6000:]}\n{result.stderr[-6000:]}"
            )
        return result

    def up(self, *settings: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """`webstack lab up` with `--set` for each setting."""
        return self.command("up", "--stack", self.stack, *(part for setting in settings for part in ("--set", setting)), status=status)

    def hosts(self) -> HostTable:
        """What `status --json` says, by host name; a leaving host of the same name does not hide the one that stays.

        A host that was just launched is not listed at once: asking for it is a failed assertion, which `wait_until` waits for.
        Raises CommandFailedError where the daemon does not answer.
        """
        try:
            found = list_hosts(LabHandle.of(self.name))
        except LabError as error:
            raise CommandFailedError(f"the hosts of lab {self.name}: {error}") from error
        as_json: list[dict[str, str | bool]] = json.loads(json.dumps([host.as_dict() for host in found]))
        as_json.sort(key=lambda row: row["state"] == "running")
        return HostTable((str(row["name"]), row) for row in as_json)

    @property
    def url(self) -> str:
        """The URL of the shop, without the slash at its end; its address is the Elastic IP, which stays."""
        return _url(self)

    def run_on(self, host: str, *command: str, check: bool = True) -> str:
        """Runs a command on a host as root and returns what it printed. Raises CommandFailedError where it fails and `check` is on."""
        try:
            arguments = nsenter_command(LabHandle.of(self.name), host, command)
        except LabError as error:
            if check:
                raise CommandFailedError(f"{host}: {' '.join(command)}: {error}") from error
            return ""
        timeout = 120 * TIMEOUT_FACTOR
        result = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=timeout, cwd="/", env=command_environment())
        if check and result.returncode != 0:
            raise CommandFailedError(
                f"{host}: {' '.join(command)}: status {result.returncode}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
            )
        return result.stdout

    def query(self, host: str, sql: str) -> list[list[str]]:
        """Asks a database host's MySQL as its administrator; rows of text columns."""
        output = self.run_on(host, "mysql", "--batch", "--skip-column-names", "--execute", sql)
        return [line.split("\t") for line in output.splitlines()]

    def primary(self) -> str:
        """The database host that takes writes now, asked of MySQL itself."""
        for host in ("db-1", "db-2"):
            if self.query(host, "SELECT @@global.super_read_only") == [["0"]]:
                return host
        raise AssertionError("no database host takes writes")

    def http_client(self, *, http2: bool = False) -> httpx.Client:
        """A client that does not look at the certificate, which is the lab's own."""
        return httpx.Client(base_url=self.url, verify=False, timeout=30, http2=http2, headers=self.request_headers)  # noqa: S501

    @property
    def request_headers(self) -> dict[str, str]:
        """The headers of a visitor's requests."""
        return {"Host": self.site} if self.site else {}

    def resolver(self, action: Literal["stop", "start"]) -> None:
        """Cuts every host off from the VPC's resolver, without an answer or an error, or gives it back."""
        cut = (
            "add table ip nodns; add chain ip nodns input { type filter hook input priority -300; }; "
            "add rule ip nodns input udp dport 53 drop; add rule ip nodns input tcp dport 53 drop"
        )
        rules = cut if action == "stop" else "delete table ip nodns"
        subprocess.run(["nsenter", f"--net=/run/netns/{self.names.router_netns}", "nft", rules], check=True, timeout=30)

    # The AWS API, as an auditor asks it.

    def instance(self, host: str) -> "InstanceTypeDef":
        """What the API shows of a host."""
        found = self.ec2().describe_instances(InstanceIds=[str(self.hosts()[host]["instance_id"])])
        return found["Reservations"][0].get("Instances", [])[0]

    def ec2(self) -> "EC2Client":
        return self.administrator().client("ec2", REGION)

    def s3(self) -> "S3Client":
        return self.administrator().client("s3", REGION)

    def secrets(self) -> "SecretsManagerClient":
        return self.administrator().client("secretsmanager", REGION)

    def administrator(self) -> ClientFactory:
        """Who may do everything in the lab's account."""
        return aws_clients.admin_clients(self.names)


@functools.cache
def _url(lab: LabUnderTest) -> str:
    return lab.command("url").stdout.strip().rstrip("/")


@contextlib.contextmanager
def reachable_by_hosts(lab: LabUnderTest, protocol: str, port: int) -> Generator[None]:
    """Lets hosts reach a port of this machine, which they otherwise may not: it stands for a service on the internet."""
    element = ["element", "inet", lab.names.prefix, "permitted", f"{{ {protocol} . {port} }}"]
    subprocess.run(["nft", "add", *element], check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", *element], check=True)


def wait_until(condition: Callable[[], T], *, seconds: float, what: str, every: float = 0.25) -> T:
    """Waits until `condition` gives something true and returns it; an assertion that fails inside counts as not yet.

    Raises AssertionError with `what` and the last reason after `seconds` (times the slowness factor).
    """
    deadline = time.monotonic() + seconds * TIMEOUT_FACTOR
    reason: object = "it was never true"
    while time.monotonic() < deadline:
        try:
            result = condition()
        except (AssertionError, httpx.HTTPError) as error:
            reason = error
        else:
            if result:
                return result
        time.sleep(every)
    raise AssertionError(f"not within {seconds * TIMEOUT_FACTOR:.0f} s: {what} ({reason})")
