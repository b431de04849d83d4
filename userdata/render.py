"""Renders a host's two texts from its role and variables: its user data (cloud-config) and its configuration object (YAML).

The rendered files (every `*.j2` under `userdata/common` and `userdata/<role>`, whose path below the tree is the path on the host) are
inline in these texts: those that a reload applies in the configuration, all others in the user data. Static files are in the role's bundle.
The texts are readable in `pulumi preview --diff`: keys have a fixed order and every file is a block scalar, so one changed line of a file
is one changed line of text.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final, cast

import jinja2
import yaml
from webstack_host.variables import HostVariables, Role

ROOT: Final = Path(__file__).parent

MAX_USER_DATA_BYTES: Final = 16384
"""The most bytes of user data that EC2 accepts (before base64)."""

HOST_FILE: Final = "/etc/webstack/host.json"
BOOT_SCRIPT: Final = "/usr/local/sbin/webstack-boot"

_EVERY_BOOT: Final = frozenset({"write-files", "runcmd", "write-files-deferred", "scripts-user"})
"""Modules that cloud-init runs once per instance by default. Here they run at every boot, so that changed user data takes effect."""

_CLOUD_INIT_MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "cloud_init_modules": (
        "seed_random", "bootcmd", "write-files", "growpart", "resizefs", "mounts", "set_hostname", "update_hostname", "update_etc_hosts",
        "users-groups", "ssh",
    ),
    "cloud_config_modules": ("locale", "set-passwords", "grub-dpkg", "apt-configure", "runcmd"),
    "cloud_final_modules": (
        "write-files-deferred", "scripts-vendor", "scripts-per-once", "scripts-per-boot", "scripts-per-instance", "scripts-user",
        "ssh-authkey-fingerprints", "keys-to-console", "install-hotplug", "final-message",
    ),
}  # fmt: skip
"""The modules in /etc/cloud/cloud.cfg of Debian 13's cloud-init 25.1.4 that have work to do, and bootcmd, for experiments before all else.
A list in user data replaces the image's list.

Left out are modules that act only on a key of the configuration that neither this text nor Debian's image has: disk_setup, ca-certs,
rsyslog, snap, keyboard, apt-pipelining, ntp, timezone, disable-ec2-metadata, fan, landscape, lxd, puppet, chef, mcollective, salt-minion,
phone-home and power-state-change (`activate_by_schema_keys` in cloudinit/config/cc_*.py), byobu and ssh-import-id (their own first lines);
reset_rmc, which is for IBM's POWER; and package-update-upgrade-install: it waits 30 s for apt's locks (APT_LOCK_WAIT_TIMEOUT in
cloudinit/distros/package_management/apt.py), counts the end of that as an error of the boot, and never asks for the package index again
(Apt.update_package_sources runs once per instance, whether it succeeded or not: Runners.run in cloudinit/helpers.py, `clear_on_fail`). The
boot script installs what `packages` lists."""


class RenderError(Exception):
    """A template or its output must not reach a host; the message names the file and what to do."""


class TooLargeError(RenderError):
    """The user data is longer than EC2 accepts."""

    def __init__(self, *, host: str, size: int) -> None:
        super().__init__(
            f"the user data of {host} has {size} bytes and EC2 takes {MAX_USER_DATA_BYTES}: shorten its templates, or move what is static "
            "into the role's bundle (a file without .j2)"
        )
        self.host = host
        self.size = size


def render_user_data(variables: HostVariables, *, root: Path = ROOT) -> str:
    """Returns the cloud-config text for one host. `root` contains the roles' trees.

    Raises RenderError if a template is wrong, and TooLargeError if the text is longer than EC2 accepts.
    """
    return _user_data(variables, rendered_files(variables, root=root))


def _user_data(variables: HostVariables, rendered: Mapping[str, str]) -> str:
    later = variables.reloadable_files
    files = {HOST_FILE: host_file(variables), **{path: content for path, content in rendered.items() if path not in later}}
    config: dict[str, object] = {
        "hostname": variables.host,
        "fqdn": f"{variables.host}.{variables.zone}",
        "prefer_fqdn_over_hostname": False,
        "ssh_pwauth": False,
        **{stage: [[name, "always"] if name in _EVERY_BOOT else name for name in names] for stage, names in _CLOUD_INIT_MODULES.items()},
        "apt": {"preserve_sources_list": True, "conf": 'DPkg::Lock::Timeout "300";\nAcquire::Retries "5";\n'},
        "packages": list(variables.packages),
        "write_files": [_write_files_entry(path, content) for path, content in files.items()],
        "runcmd": [[BOOT_SCRIPT]],
    }
    text = "#cloud-config\n" + _yaml(config)
    size = len(text.encode())
    if size > MAX_USER_DATA_BYTES:
        raise TooLargeError(host=variables.host, size=size)
    return text


def render_configuration(variables: HostVariables, *, root: Path = ROOT) -> str:
    """Returns the content of a host's configuration object: what a reload applies, and the hash of the user data that belongs to it.

    Raises what `render_user_data` raises.
    """
    rendered = rendered_files(variables, root=root)
    document: dict[str, object] = {
        "host": variables.host,
        "user_data_sha256": hashlib.sha256(_user_data(variables, rendered).encode()).hexdigest(),
        "values": {name: value for name, value in _jsonable(variables).items() if name in variables.reloadable()},
        "files": [{"path": path, "content": rendered[path]} for path in variables.reloadable_files if path in rendered],
    }
    return _yaml(document)


def host_file(variables: HostVariables) -> str:
    """Returns the content of `/etc/webstack/host.json`: all variables that no reload applies, in the dataclass's order."""
    values = {name: value for name, value in _jsonable(variables).items() if name not in variables.reloadable()}
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _jsonable(variables: HostVariables) -> dict[str, object]:
    """Returns the variables by name, with types that JSON and YAML both have: lists instead of tuples."""
    return cast("dict[str, object]", json.loads(json.dumps(asdict(variables))))


def templates(role: Role, *, root: Path = ROOT) -> dict[str, Path]:
    """Returns a role's templates by path on the host, ordered. The role's own file takes precedence over the common one."""
    found: dict[str, Path] = {}
    for tree in (root / "common", root / role):
        for template in tree.rglob("*.j2"):
            found["/" + template.relative_to(tree).as_posix().removesuffix(".j2")] = template
    return dict(sorted(found.items()))


def rendered_files(variables: HostVariables, *, root: Path = ROOT) -> dict[str, str]:
    """Returns the contents of the role's rendered files by path on the host. Raises RenderError."""
    context = {item.name: getattr(variables, item.name) for item in fields(variables)}
    rendered: dict[str, str] = {}
    for path, template in templates(variables.role, root=root).items():
        try:
            source = template.read_text()
            for problem in _comment_problems(source):
                raise RenderError(f"{template}:{problem}")
            content = _compiled(source).render(context)
        except jinja2.TemplateError as error:
            line = getattr(error, "lineno", None)
            raise RenderError(f"{template}{f':{line}' if line else ''}: {error}") from error
        for problem in _text_problems(content):
            raise RenderError(f"{template}: {problem}; such text would show as one long line in a preview")
        rendered[path] = content
    return rendered


_TEMPLATES: Final = jinja2.Environment(
    undefined=jinja2.StrictUndefined,
    autoescape=jinja2.select_autoescape(enabled_extensions=()),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@functools.lru_cache(maxsize=128)
def _compiled(source: str) -> jinja2.Template:
    """Compiles a template, cached because each is rendered several times per host. Raises jinja2.TemplateSyntaxError."""
    return _TEMPLATES.from_string(source)


_COMMENT: Final = re.compile(r"^(.*?)\{#(.*?)#\}(.*?)$", re.DOTALL | re.MULTILINE)


@functools.lru_cache(maxsize=128)
def _comment_problems(source: str) -> tuple[str, ...]:
    """Returns where a comment may end later than intended: text between two comments would be silently dropped."""
    return tuple(_overlong_comments(source))


def _overlong_comments(source: str) -> Iterator[str]:
    for found in _COMMENT.finditer(source):
        before, inside, after = found.groups()
        line = source.count("\n", 0, found.start(2)) + 1
        if before.rpartition("\n")[2].strip() or after.strip():
            yield f"{line}: a comment {{# … #}} shares a line with something else: give it lines of its own"
        elif re.search(r"\{[#{%]", inside):
            yield f"{line}: a comment {{# … #}} has another mark of the template in it: end it before that"


def _text_problems(content: str) -> Iterator[str]:
    if not content.endswith("\n"):
        yield "its last line has no end"
    for number, line in enumerate(content.splitlines(), start=1):
        if line != line.rstrip():
            yield f"line {number} of the outcome ends with spaces"
        if not line.isprintable():
            yield f"line {number} of the outcome holds a tab or another control character"


def _write_files_entry(path: str, content: str) -> dict[str, str]:
    """Returns a write_files entry: owned by root, 0644 unless given otherwise (`DEFAULT_PERMS` in cloudinit/config/cc_write_files.py)."""
    return {"path": path, **({"permissions": "0755"} if _is_executable(path) else {}), "content": content}


def _is_executable(path: str) -> bool:
    return Path(path).parent.name in ("bin", "sbin")


def _yaml(document: Mapping[str, object]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


_SafeDumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's dumper, if PyYAML was built with it: the same text in a tenth of the time."""


class _Dumper(_SafeDumper):
    """Writes multi-line strings as block scalars, and no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _represent_list(dumper: yaml.SafeDumper, items: list[object]) -> yaml.SequenceNode:
    flow = all(isinstance(item, str) for item in items) and len(items) <= 2  # [write-files, always] on one line
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(list, _represent_list)
