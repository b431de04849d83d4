"""What a role's spec must say so that nothing falls through, and a role that is added by its spec, its tree and one line."""

import json
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from stack.addressing import AddressPlan
from stack.roles import ROLES, SPECS, role_spec
from stack.roles.spec import INTERNET, RoleSpec
from stack.secret_specs import SECRET_SPECS
from stack.settings import SECTIONS
from tests.program_files import copy_program
from userdata.render import ROOT

EVERY_ROLE = pytest.mark.parametrize("spec", SPECS, ids=ROLES)


@EVERY_ROLE
def test_a_role_has_a_tree_a_section_of_settings_and_secrets_that_exist(spec: RoleSpec) -> None:
    assert (ROOT / spec.name).is_dir()
    assert spec.section in SECTIONS
    assert set(spec.secrets) <= set(SECRET_SPECS)
    assert {inbound.source for inbound in spec.inbound} <= {*ROLES, INTERNET}
    assert spec.label.startswith("a ")


def test_every_tree_is_a_roles_and_every_secret_has_a_reader() -> None:
    assert {folder.name for folder in ROOT.iterdir() if (folder / "usr").is_dir()} == {*ROLES, "common"}
    assert {purpose for spec in SPECS for purpose in spec.secrets} == set(SECRET_SPECS)


def test_no_two_roles_have_the_same_names() -> None:
    for names in ([spec.name for spec in SPECS], [spec.component for spec in SPECS], [spec.prefix for spec in SPECS]):
        assert len(set(names)) == len(names)


def test_fixed_addresses_are_in_no_subnet_whose_addresses_aws_chooses_and_are_no_other_roles() -> None:
    assert {spec.subnet for spec in SPECS if spec.is_fixed}.isdisjoint(spec.subnet for spec in SPECS if not spec.is_fixed)
    for zones in (1, 2, 3, 4):
        plan = AddressPlan(IPv4Network("10.0.0.0/22"), zones)
        places = [spec.placement(plan, number).address for spec in SPECS if spec.is_fixed for number in (1, 2)]
        assert len(set(places)) == len(places)


def test_a_role_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match="there is no role 'cache'; there are load_balancer, web, database"):
        role_spec("cache")


CACHE_VARIABLES = '''"""What a cache is told."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from webstack_host.variables import HostVariables


@dataclass(frozen=True, kw_only=True)
class CacheVariables(HostVariables):
    packages: ClassVar[tuple[str, ...]] = ("openssl", "python3-boto3")
    role: Literal["cache"] = "cache"
    memory: int
'''

CACHE = '''"""A role that a test adds."""

from typing import Final

from cache_role.variables import CacheVariables
from webstack_host.variables import Role

from stack.environment import Environment
from stack.roles.spec import HOST_CHECK_TIMEOUT, HostInputs, InboundFlow, PolicyInputs, RoleSpec, Statement, allow

NAME: Final[Role] = CacheVariables.role


def make_variables(environment: Environment, number: int, inputs: HostInputs) -> CacheVariables:
    return CacheVariables(**SPEC.common_variables(environment, number, inputs), readiness_timeout=HOST_CHECK_TIMEOUT, memory=64)


def policy_statements(inputs: PolicyInputs) -> list[Statement]:
    return [allow("Warm", ["s3:GetObject"], [f"{inputs.bucket_arn}/warm/*"])]


SPEC: Final = RoleSpec(
    name=NAME,
    component="cache",
    prefix="cache",
    label="a cache",
    section="database",
    settings=lambda settings: settings.database,
    count=lambda _: 1,
    subnet="data",
    fixed_offset=30,
    own_component=False,
    inbound=(InboundFlow(source="web", port=6379, description="what the app keeps for a while"),),
    secrets=("app-session-key",),
    follows_rotations=False,
    variables_type=CacheVariables,
    make_variables=make_variables,
    policy_statements=policy_statements,
)
'''

RUN = """
import json
from tests.unit.stack.conftest import stack_config
from tests.unit.monitor import StrictMonitor, run
import runpy
from pathlib import Path
from unittest import mock
import stack.configuration
from stack.bundles import BuiltBundle

def app(_, *, build):
    return BuiltBundle(key="app/a.tar.gz", sha256="a" * 64, path=Path("Pulumi.yaml") if build else None)

with (
    mock.patch("stack.bundles.app_bundle", app),
    mock.patch("stack.aws_client.AwsClient.has_object", return_value=False),
    mock.patch("stack.aws_client.AwsClient.put_object"),
):
    made = run(
        lambda: runpy.run_path(str(Path.cwd() / "__main__.py"), run_name="__main__"),
        config=stack_config("dev"), stack_name="dev", monitor=StrictMonitor(),
    )
found = {f"{item.token.rpartition(':')[2]} {item.name}": item.inputs for item in made.resources if "cache" in item.name}
print(json.dumps(found, default=str))
"""


@pytest.mark.programs
def test_a_role_more_is_its_spec_its_tree_and_one_line(tmp_path: Path) -> None:
    """As CONTRIBUTING.md says it. Its settings are another role's here."""
    clone = copy_program(tmp_path, extra=("lab", "ops", "tests", "audit"))
    (clone / "stack" / "roles" / "cache.py").write_text(CACHE)
    tree = clone / "userdata" / "cache"
    for path, content in {
        "etc/cache.conf.j2": "memory {{ memory }}\n",
        "usr/local/lib/webstack/cache_role/variables.py": CACHE_VARIABLES,
    }.items():
        (tree / path).parent.mkdir(parents=True)
        (tree / path).write_text(content)
    line = clone / "stack" / "roles" / "__init__.py"
    text = line.read_text()
    text = text.replace("import database, load_balancer, web", "import cache, database, load_balancer, web")
    line.write_text(
        text.replace("(load_balancer.SPEC, web.SPEC, database.SPEC)", "(load_balancer.SPEC, web.SPEC, database.SPEC, cache.SPEC)")
    )
    ran = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=clone,
        env={"PYTHONPATH": str(clone), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    made: dict[str, dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    host = made["Instance dev-cache-1"]
    assert (host["privateIp"], host["tags"]["role"], host["tags"]["component"]) == ("10.20.128.30", "cache", "cache")
    assert "memory 64" in host["userData"]
    statements = {one["Sid"]: one["Resource"] for one in json.loads(made["RolePolicy dev-cache"]["policy"])["Statement"]}
    assert [resource.rpartition("/")[2][:12] for resource in statements["Secrets"]] == ["app-session-"]
    assert statements["Warm"][0].endswith("/warm/*")
    assert made["Record dev-cache-1-name"]["records"] == ["10.20.128.30"]
    rules = {name for name in made if "SecurityGroup" in name and "web-to-cache" in name}
    assert rules == {
        "SecurityGroupIngressRule dev-web-to-cache-6379-in",
        "SecurityGroupEgressRule dev-web-to-cache-6379-out",
    }
