"""What user data promises: one text in a fixed order whose changes are as small as what changed, that never grows past EC2's limit."""

import difflib
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from database_role.variables import DatabaseVariables
from load_balancer_role.variables import Limits, LoadBalancerVariables
from web_role.variables import WebVariables
from webstack_host.variables import Bundle, DatabaseEndpoint, HostVariables, Role

from stack.roles import ROLES, SPECS
from userdata.render import (
    MAX_USER_DATA_BYTES,
    ROOT,
    RenderError,
    TooLargeError,
    host_file,
    render_configuration,
    render_user_data,
    rendered_files,
    templates,
)

LIMITS = Limits(
    connections=500,
    connection_rate=500,
    request_rate=1000,
    request_concurrency=300,
    credential_paths=("/login", "/accounts/login/"),
    credential_rate=60,
    total_credential_rate=5,
    exempt_cidrs=(),
)
DATABASES = (
    DatabaseEndpoint(host="db-1", address="10.20.128.10"),
    DatabaseEndpoint(host="db-2", address="10.20.144.10"),
)


def variables(role: Role) -> HostVariables:
    base: dict[str, Any] = {
        "region": "eu-central-1",
        "zone": "dev.webstack.internal",
        "bucket": "artifacts-1234567",
        "role_bundle": Bundle(key=f"roles/{role}/{'a' * 64}.tar.gz", sha256="a" * 64),
        "secret_prefix": "webstack/dev",
        "readiness_timeout": 600,
    }
    if role == "load_balancer":
        return LoadBalancerVariables(
            **base,
            host="lb-1",
            private_address="10.20.0.10",
            peer_address="10.20.16.10",
            elastic_ip_allocation_id="eipalloc-0123456789abcdef0",
            elastic_ip_address="198.51.100.7",
            tls_mode="self-signed",
            tls_secret="",
            domain="198.51.100.7",
            aliases=(),
            balance="roundrobin",
            backend_mode="active-active",
            web_slots=10,
            limits=LIMITS,
        )
    if role == "web":
        return WebVariables(
            **base,
            host="web-1",
            app_bundle=Bundle(key=f"app/{'b' * 64}.tar.gz", sha256="b" * 64),
            app_module="wsgi:app",
            load_balancer_addresses=("10.20.0.10", "10.20.16.10"),
            databases=DATABASES,
            schema="app",
            workers=0,
            drain_seconds=20,
            migrate_timeout=600,
            site_host="198.51.100.7",
            check_path="/healthz",
            ready_path="/readyz",
        )
    return DatabaseVariables(
        **base,
        host="db-1",
        server_id=1,
        private_address="10.20.128.10",
        dns_name="db-1.dev.webstack.internal",
        databases=DATABASES,
        has_replica=True,
        volume_id="vol-0123456789abcdef0",
        network_cidr="10.20.0.0/16",
        schema="app",
        semi_sync_timeout_seconds=5,
        buffer_pool_mb=128,
    )


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def written_files(text: str) -> dict[str, dict[str, str]]:
    return {entry["path"]: entry for entry in yaml.safe_load(text)["write_files"]}


HAPROXY = "global\n  maxconn 4000\n\ndefaults\n  timeout connect {{ '400ms' }}\n\nfrontend web\n  bind *:80\n"


@pytest.mark.parametrize("role", ROLES)
def test_the_user_data_of_every_role_is_cloud_config_within_the_limit(role: Role) -> None:
    text = render_user_data(variables(role))
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) <= MAX_USER_DATA_BYTES
    config = yaml.safe_load(text)
    assert list(config) == [
        "hostname",
        "fqdn",
        "prefer_fqdn_over_hostname",
        "ssh_pwauth",
        "cloud_init_modules",
        "cloud_config_modules",
        "cloud_final_modules",
        "apt",
        "packages",
        "write_files",
        "runcmd",
    ]
    assert config["runcmd"][-1] == ["/usr/local/sbin/webstack-boot"]


def test_a_changed_line_of_a_file_changes_that_line_of_the_text_and_no_other(tmp_path: Path) -> None:
    before = write_tree(tmp_path / "a", {"load_balancer/etc/haproxy/haproxy.cfg.j2": HAPROXY})
    after = write_tree(tmp_path / "b", {"load_balancer/etc/haproxy/haproxy.cfg.j2": HAPROXY.replace("maxconn 4000", "maxconn 5000")})
    lb = variables("load_balancer")
    old, new = (render_configuration(lb, root=root).splitlines() for root in (before, after))
    changed = [line for line in difflib.ndiff(old, new) if line.startswith(("- ", "+ "))]
    assert changed == ["-       maxconn 4000", "+       maxconn 5000"]
    assert render_user_data(lb, root=before) == render_user_data(lb, root=after), "a reload applies it: the host need not stop"


OTHER = {"tls_mode": "secret", "backend_mode": "active-passive", "balance": "uri"}


def changed_value(name: str, value: Any) -> Any:
    """A different value of a variable."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case tuple():
            items = cast("tuple[Any, ...]", value)
            return items[:1] if len(items) > 1 else (*items, "other.example.com")
        case Limits():
            return replace(value, connections=value.connections + 1)
        case Bundle():
            return Bundle(key="other", sha256="c" * 64)
        case _:
            return OTHER.get(name) or f"{value}-other"


@pytest.mark.parametrize("role", ROLES)
def test_what_a_reload_applies_changes_no_byte_of_the_user_data_and_all_else_does(role: Role) -> None:
    """A file that a boot alone applies must not use a value that a reload applies: it would go on with the old one."""
    told = variables(role)
    for item in fields(told):
        if item.name in ("role", "configuration_key"):
            continue
        changed = replace(told, **{item.name: changed_value(item.name, getattr(told, item.name))})
        assert (render_user_data(changed) == render_user_data(told)) is (item.name in told.reloadable()), item.name
        assert render_configuration(changed) != render_configuration(told), f"{item.name}: the object names the user data as well"


def test_a_configuration_says_which_user_data_belongs_to_it_and_holds_what_a_reload_applies() -> None:
    balancer = variables("load_balancer")
    document = yaml.safe_load(render_configuration(balancer))
    assert document["user_data_sha256"] == hashlib.sha256(render_user_data(balancer).encode()).hexdigest()
    values = json.loads(json.dumps(asdict(balancer)))
    assert document["values"] == {name: values[name] for name in balancer.reloadable()}
    assert document["files"] == [{"path": path, "content": rendered_files(balancer)[path]} for path in balancer.reloadable_files]
    assert not set(balancer.reloadable_files) & set(written_files(render_user_data(balancer)))
    database = yaml.safe_load(render_configuration(variables("database")))
    assert (database["host"], database["values"], database["files"]) == ("db-1", {}, [])


@pytest.mark.parametrize("role", ROLES)
def test_every_file_with_several_lines_is_a_block_scalar_as_the_projects_own_templates_give_it(role: Role) -> None:
    text = render_user_data(variables(role))
    for path, entry in written_files(text).items():
        for line in entry["content"].splitlines():
            assert any(candidate.strip() == line.strip() for candidate in text.splitlines()), f"{path}: {line!r} is not a line of the text"
    assert '\\n"' not in "\n".join(line for line in text.splitlines() if line.startswith("    content: "))


def test_the_modules_that_apply_changed_user_data_run_at_every_boot_and_no_other_does() -> None:
    config: dict[str, list[Any]] = yaml.safe_load(render_user_data(variables("web")))
    every_boot: list[str] = [
        item[0]
        for stage in ("cloud_init_modules", "cloud_config_modules", "cloud_final_modules")
        for item in config[stage]
        if isinstance(item, list)
    ]
    assert every_boot == ["write-files", "runcmd", "write-files-deferred", "scripts-user"]


def test_no_key_of_the_user_data_is_for_a_module_that_is_left_out() -> None:
    """By `activate_by_schema_keys` in cloud-init 25.1.4's cloudinit/config/cc_*.py; byobu's and ssh-import-id's are in their functions."""
    keys = [
        "disk_setup", "fs_setup", "ca_certs", "ca-certs", "rsyslog",
        "snap", "keyboard", "apt_pipelining", "ntp", "timezone", "disable_ec2_metadata",
        "fan", "landscape", "lxd", "puppet", "chef", "mcollective",
        "salt_minion", "phone_home", "power_state", "byobu_by_default", "ssh_import_id", "package_update",
        "package_upgrade",
    ]  # fmt: skip
    for role in ROLES:
        assert not set(keys) & set(yaml.safe_load(render_user_data(variables(role))))


def test_the_packages_are_left_to_the_boot_script_whose_wait_for_apts_locks_travels_with_it() -> None:
    text = render_user_data(variables("web"))
    config: dict[str, Any] = yaml.safe_load(text)
    assert "package-update-upgrade-install" not in config["cloud_final_modules"]
    assert config["packages"] == list(WebVariables.packages)
    assert written_files(text)["/usr/local/sbin/webstack-await-apt"]["permissions"] == "0755"


def test_files_are_written_before_the_packages_users_exist_so_none_names_an_owner() -> None:
    for path, entry in written_files(render_user_data(variables("database"))).items():
        assert set(entry) - {"permissions"} == {"path", "content"}
        assert entry.get("permissions", "0644") == ("0755" if "/sbin/" in path else "0644")


def test_the_host_file_holds_every_variable_in_the_order_of_the_dataclass() -> None:
    web = variables("web")
    content = json.loads(host_file(web))
    assert list(content) == [item.name for item in fields(web)]
    assert content["app_bundle"] == {"key": f"app/{'b' * 64}.tar.gz", "sha256": "b" * 64}
    assert written_files(render_user_data(web))["/etc/webstack/host.json"]["content"] == host_file(web)


def test_a_roles_own_template_stands_before_the_common_one_and_programs_are_executable(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path,
        {
            "common/etc/motd.j2": "common\n",
            "common/usr/local/sbin/boot.j2": "#!/bin/sh\n",
            "common/etc/static": "not rendered\n",
            "web/etc/motd.j2": "{{ host }}\n",
            "database/etc/other.j2": "no\n",
        },
    )
    assert list(templates("web", root=root)) == ["/etc/motd", "/usr/local/sbin/boot"]
    entries = written_files(render_user_data(variables("web"), root=root))
    assert entries["/etc/motd"] == {"path": "/etc/motd", "content": "web-1\n"}
    assert entries["/usr/local/sbin/boot"]["permissions"] == "0755"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ no_such_variable }}\n", "'no_such_variable' is undefined"),
        ("{% if %}\n", "x.j2:1: Expected an expression"),
        ("no end", "its last line has no end"),
        ("a\nb  \n", "line 2 of the outcome ends with spaces"),
        ("a\tb\n", "line 1 of the outcome holds a tab"),
        ("a\n# {# old\nb\n# new #}\n", r"x.j2:2: a comment {# … #} shares a line with something else: give it lines of its own"),
        ("a\n{# old #} b\n", "x.j2:2: a comment {# … #} shares a line"),
        ("{# old\nb\n{# new #}\n", "x.j2:1: a comment {# … #} has another mark of the template in it: end it before that"),
        ("a\n  {# old\n{{ host }}\n#}\n", "x.j2:2: a comment {# … #} has another mark"),
        ("{# fine #}\n{# old\n{% if host %}\n#}\n", "x.j2:2: a comment {# … #} has another mark"),
    ],
)
def test_a_template_that_would_harm_a_host_or_a_preview_is_refused(tmp_path: Path, template: str, reason: str) -> None:
    root = write_tree(tmp_path, {"web/etc/x.j2": template})
    with pytest.raises(RenderError, match=re.escape(reason)):
        rendered_files(variables("web"), root=root)


def test_comments_on_lines_of_their_own_do_not_travel(tmp_path: Path) -> None:
    root = write_tree(tmp_path, {"web/etc/x.j2": "{# one #}\na\n  {# two,\n  of two lines #}\nb {{ host }}\n"})
    assert rendered_files(variables("web"), root=root) == {"/etc/x": "a\nb web-1\n"}


def test_text_past_the_limit_is_refused_with_its_size_and_the_remedy(tmp_path: Path) -> None:
    root = write_tree(tmp_path, {"web/etc/big.j2": "x" * 78 + "\n" + ("y" * 78 + "\n") * 200})
    with pytest.raises(TooLargeError, match=r"the user data of web-1 has \d+ bytes and EC2 takes 16384: shorten its templates") as raised:
        render_user_data(variables("web"), root=root)
    assert raised.value.size > MAX_USER_DATA_BYTES


def test_the_text_depends_on_the_variables_alone() -> None:
    web = variables("web")
    assert render_user_data(web) == render_user_data(replace(web))


def test_no_package_is_listed_twice_and_lists_are_sorted() -> None:
    for spec in SPECS:
        names = spec.variables_type.packages
        assert list(names) == sorted(set(names)), spec.name


@pytest.mark.programs
@pytest.mark.parametrize("role", ROLES)
def test_a_text_is_the_same_whether_pyyaml_was_built_with_libyaml_or_not(role: Role) -> None:
    """Else another machine's plan would change every host."""
    program = "import json, yaml, userdata; {without}from tests.unit.userdata.test_render import *; print(json.dumps({texts}))"
    texts = f"[make(variables({role!r})) for make in (render_user_data, render_configuration)]"
    runs = [program.format(without=without, texts=texts) for without in ("", "del yaml.CSafeDumper; ")]
    with_libyaml, without = (
        subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True, cwd=ROOT.parent).stdout for run in runs
    )
    assert with_libyaml == without
    assert len(json.loads(without)) == 2
