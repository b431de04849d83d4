"""What the program renders is what a host reads: an object of the same dataclass, equal to the one that was rendered."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml
from webstack_host import config, configure, desired_config
from webstack_host.config import ConfigError
from webstack_host.readiness import CheckResult
from webstack_host.variables import Bundle, Configuration, HostVariables

from stack.configuration import validate
from stack.roles import ROLES, SPECS, role_spec
from stack.roles.spec import HostInputs, RoleSpec
from tests.program_files import stack_config
from userdata.render import HOST_FILE, ROOT, render_configuration, render_user_data

EVERY_ROLE = pytest.mark.parametrize("spec", SPECS, ids=ROLES)
BALANCER = pytest.mark.parametrize("spec", [role_spec("load_balancer")], ids=["load_balancer"])
SHA256 = "0" * 64


def variables(spec: RoleSpec, stack: str) -> HostVariables:
    """What the last host of a role is told by a stack file."""
    raw = {key.removeprefix("webstack:"): value for key, value in stack_config(stack).items() if key.startswith("webstack:")}
    environment = validate(stack=stack, raw=raw, region="eu-central-1", zones=lambda: [f"eu-central-1{letter}" for letter in "abc"])
    inputs = HostInputs(
        bucket="artifacts-1234567",
        secret_prefix=f"webstack/{stack}-0123abcd",
        role_bundle=Bundle(key=f"roles/{spec.name}/{SHA256}.tar.gz", sha256=SHA256),
        app_bundle=Bundle(key=f"app/{SHA256}.tar.gz", sha256=SHA256),
        address="198.51.100.7",
        allocation_id="eipalloc-0123456789abcdef0",
        volume_id="vol-0123456789abcdef0",
    )
    return spec.make_variables(environment, spec.count(environment.settings), inputs)


ABSENT = object()
"""In the place of a value: the key is not there."""


def change(path: Path, key: str, value: object) -> None:
    """Changes a value of a file; dots lead into the objects inside."""
    document = json.loads(path.read_text())
    *outer, last = key.split(".")
    inner = document
    for name in outer:
        inner = inner[name]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(document))


class Disk:
    """The two files of a host, as its user data and its configuration object write them."""

    def __init__(self, root: Path, told: HostVariables) -> None:
        self.host, self.values = root / "host.json", root / "configuration.json"
        entries = yaml.safe_load(render_user_data(told))["write_files"]
        self.host.write_text(next(entry["content"] for entry in entries if entry["path"] == HOST_FILE))
        desired = desired_config.parse(render_configuration(told).encode())
        self.values.write_text(json.dumps(desired.values))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: RoleSpec) -> Disk:
    made = Disk(tmp_path, variables(spec, "dev"))
    monkeypatch.setattr(config, "PATH", str(made.host))
    monkeypatch.setattr(config, "VALUES_PATH", str(made.values))
    return made


@EVERY_ROLE
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_host_loads_what_the_program_told_it(spec: RoleSpec, stack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = variables(spec, stack)
    written = Disk(tmp_path, told)
    monkeypatch.setattr(config, "PATH", str(written.host))
    monkeypatch.setattr(config, "VALUES_PATH", str(written.values))
    assert config.load(spec.variables_type) == told
    common = config.load_common()
    assert {field.name: getattr(common, field.name) for field in fields(common)} == {
        field.name: getattr(told, field.name) for field in fields(HostVariables)
    }
    desired = desired_config.parse(render_configuration(told).encode())
    values = desired.parse_values(told.configuration)
    assert {field.name: getattr(values, field.name) for field in fields(values)} == {
        name: getattr(told, name) for name in told.reloadable()
    }


@EVERY_ROLE
def test_a_roles_module_gives_what_is_loaded_to_its_check(spec: RoleSpec, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def check(told: HostVariables) -> CheckResult:
        given.append(told)
        return CheckResult(ok=True, reason="serves")

    monkeypatch.setattr(f"{spec.name}_role.checks.check", check)
    role = configure.load_role(config.load_common())
    assert role.check().ok
    assert given == [variables(spec, "dev")]
    assert callable(role.configure)
    assert "root" not in role.metadata_users
    assert all(hasattr(role, name) == spec.supports_reload for name in ("apply_configuration", "reapply_interval", "reload"))


LOAD = """
import sys
sys.path[:0] = sys.argv[3:]
from importlib import import_module
from webstack_host import config
config.PATH, config.VALUES_PATH = sys.argv[1:3]
role = config.load_common().role
models = vars(import_module(f"{role}_role.variables")).values()
[model] = [one for one in models if getattr(one, "role", None) == role]
print(repr(config.load(model)))
"""


@pytest.mark.programs
@EVERY_ROLE
def test_a_host_loads_it_by_its_own_bundle_and_pythons_standard_library_alone(spec: RoleSpec, disk: Disk) -> None:
    trees = [str(ROOT / tree / "usr/local/lib/webstack") for tree in ("common", spec.name)]
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", LOAD, str(disk.host), str(disk.values), *trees],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout.strip(), ran.stderr) == (repr(variables(spec, "dev")), "")


@EVERY_ROLE
def test_no_variable_has_two_places_and_a_type_that_hosts_do_not_know(spec: RoleSpec) -> None:
    common = {field.name for field in fields(HostVariables)}
    assert common.isdisjoint(spec.variables_type.reloadable()), "every host knows these before its configuration object is in force"
    assert set(spec.variables_type.reloadable()) <= {field.name for field in fields(spec.variables_type)}
    assert issubclass(spec.variables_type, spec.variables_type.configuration) or not spec.variables_type.reloadable()


@EVERY_ROLE
@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("region", ABSENT, "region is missing: {model} has no default for it"),
        ("colour", "red", "colour is unknown: {model} has "),
        ("readiness_timeout", "soon", 'readiness_timeout must be an integer, and is "soon"'),
        ("readiness_timeout", True, "readiness_timeout must be an integer, and is true"),
        ("region", None, "region must be a string, and is null"),
        ("role_bundle.sha256", ABSENT, "role_bundle.sha256 is missing: Bundle has no default for it"),
        ("role_bundle.size", 7, "role_bundle.size is unknown: Bundle has key, sha256"),
        ("role_bundle", [], "role_bundle must be an object, and is []"),
        ("role", "cache", 'role must be one of {role}, and is "cache"'),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_its_name_the_key_and_the_rule(
    spec: RoleSpec, disk: Disk, key: str, value: object, error: str
) -> None:
    change(disk.host, key, value)
    with pytest.raises(ConfigError) as raised:
        config.load(spec.variables_type)
    assert str(raised.value).startswith(f"{disk.host}: {error.format(model=spec.variables_type.__name__, role=spec.name)}")


@BALANCER
@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("domain", ABSENT, "domain is missing: LoadBalancerConfiguration has no default for it"),
        ("region", "eu-central-1", "region is unknown: LoadBalancerConfiguration has tls_mode, "),
        ("balance", "sideways", 'balance must be one of roundrobin, leastconn, random, source, uri, and is "sideways"'),
        ("limits.connections", "many", 'limits.connections must be an integer, and is "many"'),
        ("limits.credential_paths", ["/login", 7], "limits.credential_paths[1] must be a string, and is 7"),
        ("aliases", "none", 'aliases must be a list, and is "none"'),
    ],
)
def test_what_the_configuration_object_brought_is_refused_where_it_stands(
    spec: RoleSpec, disk: Disk, key: str, value: object, error: str
) -> None:
    change(disk.values, key, value)
    with pytest.raises(ConfigError) as raised:
        config.load(spec.variables_type)
    assert str(raised.value).startswith(f"{disk.values}: {error}")


@BALANCER
def test_what_every_host_is_told_does_not_depend_on_the_configuration_object(spec: RoleSpec, disk: Disk) -> None:
    """At a first boot there is none yet, and at the first boot of a release the one of the release before."""
    change(disk.values, "domain", ABSENT)
    assert config.load_common().role == spec.name
    disk.values.unlink()
    assert config.load_common().role == spec.name
    with pytest.raises(FileNotFoundError):
        config.load(spec.variables_type)


def test_a_long_value_is_shown_by_its_beginning() -> None:
    with pytest.raises(ConfigError, match=r"^x: key must be a string, and is \[0, 0, .{73}…$"):
        config.parse(Bundle, {"key": [0] * 1000, "sha256": ""}, "x")


@EVERY_ROLE
def test_a_file_that_is_no_json_object_is_named(spec: RoleSpec, disk: Disk) -> None:
    disk.host.write_text("[]")
    with pytest.raises(ConfigError, match=r"host\.json: all of it must be an object, and is \[\]"):
        config.load_common()
    disk.host.write_text("{")
    with pytest.raises(ConfigError, match=r"host\.json is no JSON: "):
        config.load(spec.variables_type)


def test_roles_without_a_configuration_take_an_object_without_values_and_no_other() -> None:
    body = render_configuration(variables(role_spec("database"), "dev")).encode()
    desired = desired_config.parse(body)
    assert desired.parse_values(Configuration) == Configuration()
    with pytest.raises(ConfigError, match="the configuration object: balance is unknown"):
        replace(desired, values={"balance": "uri"}).parse_values(Configuration)
