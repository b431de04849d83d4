"""What a host of a role holds before it is configured (user data's files, the role's bundle), laid over the lab's image for its programs.

Nothing boots: the image is the lowest layer of a throw-away overlay in a mount namespace that ends with the command.
"""

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from webstack_host.variables import Bundle, HostVariables, Role

from lab.image.build import build
from lab.image.store import ImageStore
from stack.bundles import role_bundle
from stack.configuration import validate
from stack.environment import Environment
from stack.roles import role_spec
from stack.roles.spec import HostInputs
from tests.lab.harness import REGION
from tests.program_files import stack_config
from userdata.render import render_configuration, render_user_data

ZONES = tuple(f"{REGION}{letter}" for letter in "abc")
USER_DATA = "/user-data"
"""Where a tree holds the cloud-config text itself."""

_DIGEST = "0" * 64
_ENTER = """set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=$2:$3,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --bind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/tmp"
ip link set lo up
ip route add default dev lo
root=$1/root
shift 3
exec chroot "$root" /usr/bin/env -i LC_ALL=C.UTF-8 HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""


@dataclass(frozen=True, kw_only=True)
class StackCase:
    """A stack file with changes to its sections."""

    stack: str
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    def __str__(self) -> str:
        return "-".join([self.stack, *self.change_labels])

    @property
    def change_labels(self) -> list[str]:
        """The changes, for a test's name."""
        pairs = [pair for section in self.changes.values() for pair in section.items()]
        return [value if isinstance(value, str) else f"{key}={json.dumps(value)}" for key, value in pairs]

    def environment(self) -> Environment:
        """The environment, judged as a real run judges it."""
        config = stack_config(self.stack)
        raw = {key.removeprefix("webstack:"): value for key, value in config.items() if key.startswith("webstack:")}
        for section, values in self.changes.items():
            raw[section] = {**raw.get(section, {}), **values}
        return validate(stack=self.stack, raw=raw, region=REGION, zones=lambda: ZONES)

    def variables(self, role: Role) -> HostVariables:
        """What the last host of a role is told: the standby, the replica. What only AWS can give is made up, in its real shape."""
        environment = self.environment()
        prefix = f"webstack/{self.stack}-0123abcd"
        spec = role_spec(role)
        inputs = HostInputs(
            bucket=f"webstack-{self.stack}-artifacts-0123456",
            secret_prefix=prefix,
            role_bundle=Bundle(key=f"roles/{role}/{_DIGEST}.tar.gz", sha256=_DIGEST),
            app_bundle=Bundle(key=f"app/{_DIGEST}.tar.gz", sha256=_DIGEST),
            address="198.51.100.7",
            allocation_id=f"eipalloc-{'0' * 17}",
            volume_id=f"vol-{'0' * 17}",
        )
        return spec.make_variables(environment, spec.count(environment.settings), inputs)


def build_tree(case: StackCase, role: Role, tree: Path) -> Path:
    """Makes `tree` what the host's root disk gets from us: the bundle unpacked, the files of user data and configuration, and what only
    the host's own programs make, where a check wants it to be there."""
    tree.mkdir(parents=True)
    tree.chmod(0o755)
    bundle = role_bundle(role).path
    assert bundle is not None
    with tarfile.open(fileobj=io.BytesIO(bundle.read_bytes())) as archive:
        archive.extractall(tree, filter="tar")
    text = render_user_data(case.variables(role))
    write(tree, USER_DATA, text)
    for entry in yaml.safe_load(text)["write_files"]:
        write(tree, entry["path"], entry["content"], mode=int(entry.get("permissions", "0644"), 8))
    for entry in yaml.safe_load(render_configuration(case.variables(role)))["files"]:
        write(tree, entry["path"], entry["content"])
    certificate, key = _certificate(tree.parent)
    if role == "load_balancer":
        write(tree, "/run/webstack/tls.pem", certificate + key, mode=0o600)
        write(tree, "/run/webstack/web.pem", certificate)
    if role == "web":
        write(tree, "/run/webstack/web.pem", certificate)
        write(tree, "/run/webstack/web.key", key, mode=0o600)
        # The release's own virtual environment.
        for program in ("gunicorn", "python"):
            write(tree, f"/opt/app/current/venv/bin/{program}", "#!/bin/sh\n", mode=0o755)
    return tree


def write(tree: Path, path: str, content: str, *, mode: int = 0o644) -> None:
    """Writes a file at its path on the host."""
    file = tree / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    file.chmod(mode)


def host_image() -> Path:
    """The root of the lab's image, with every role's packages."""
    store = ImageStore.default()
    return build(store, store.recipe("baked"), print)


def run_in_image(tree: Path, scratch: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as root in the image under `tree`, alone with its processes, mounts and network.

    That network leads nowhere but has a route: HAProxy opens the socket to its resolver while it checks.
    """
    scratch.mkdir(exist_ok=True)
    unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc"]
    return subprocess.run(
        [*unshare, "sh", "-c", _ENTER, "sh", str(scratch), str(tree), str(host_image()), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def _certificate(folder: Path) -> tuple[str, str]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-subj", "/CN=test"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate.read_text(), key.read_text()
