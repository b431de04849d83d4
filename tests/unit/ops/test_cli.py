"""The command line teaches, and a user's mistake is one message and a status."""

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lab import admin_keys
from lab.admin_keys import AdminKeysError
from lab.names import LabNameError, LabNames
from ops import cli, hosts, operations, requirements
from ops.errors import UserError
from ops.progress import PlannedStep
from stack.site_check import SITE_UP

DAILY = ["env", "exec", "fault", "kill", "logs", "reach", "start", "status", "stop", "url"]
COMMANDS = ["destroy", "down", "preview", "quota", "refresh", "setup", "up", *DAILY]


def test_every_command_explains_itself() -> None:
    text = CliRunner().invoke(cli.app, ["lab", "--help"]).output
    for command in COMMANDS:
        assert command in text
        assert len(CliRunner().invoke(cli.app, ["lab", command, "--help"]).output.splitlines()) > 5


@pytest.mark.parametrize("error", [UserError("the rule"), LabNameError("the rule")])
def test_a_mistake_is_a_message_and_a_status(error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    statuses: list[int] = []

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "_exit_now", statuses.append)
    cli.main()
    assert statuses == [1]
    assert capsys.readouterr().err == "the rule\n"


def test_ctrl_c_has_the_status_that_shells_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses: list[int] = []

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    monkeypatch.setattr(cli, "_exit_now", statuses.append)
    cli.main()
    assert statuses == [130]


def test_without_root_it_is_said_what_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UserError, match=r"needs root.*\n.*\n  make test-unit"):
        requirements.require_host("webstack lab up")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("--lab", "mine", "db-1", "--", "df", "-h"), ["df", "-h"]),
        (("db-1", "--lab", "mine", "--", "df", "-h"), ["df", "-h"]),
        (("db-1", "--lab", "mine", "df", "-h"), ["df", "-h"]),
        (("--lab", "mine", "db-1", "--", "tool", "--lab", "other", "--", "x"), ["tool", "--lab", "other", "--", "x"]),
    ],
)
def test_exec_takes_its_options_before_and_after_the_host_and_leaves_the_command_its_own(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], command: list[str]
) -> None:
    labs: list[str] = []
    run: list[list[str]] = []

    class Running:
        def require_running(self) -> None:
            pass

    def of(name: str) -> Running:
        labs.append(name)
        return Running()

    def enter(_: object, host: str, arguments: list[str]) -> list[str]:
        return [host, *arguments]

    def execvpe(_: str, arguments: list[str], environment: dict[str, str]) -> None:
        assert "CANARY" not in environment
        run.append(arguments)

    monkeypatch.setattr("ops.lab.LabHandle.of", of)

    def allowed(_: object) -> None:
        pass

    monkeypatch.setattr("ops.lab.requirements.require_root", allowed)
    monkeypatch.setattr("ops.lab.hosts.nsenter_command", enter)
    monkeypatch.setattr("os.execvpe", execvpe)
    monkeypatch.setenv("CANARY", "sings")

    def chosen(_: object, host: str, *_more: object) -> SimpleNamespace:
        return SimpleNamespace(instance_id=host)

    monkeypatch.setattr("ops.lab.hosts.resolve", chosen)
    result = CliRunner().invoke(cli.app, ["lab", "exec", *words])
    assert result.exit_code == 0, result.output
    assert labs == ["mine"]
    assert run == [["db-1", *command]]


@pytest.mark.parametrize(
    "words", [["-h"], ["lab", "-h"], ["lab", "up", "-h"], ["lab", "fault", "api", "down", "-h"], ["deployer-policy", "-h"]]
)
def test_help_is_a_short_option_everywhere(words: list[str]) -> None:
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


@pytest.mark.programs
def test_the_version_names_the_commit() -> None:
    result = CliRunner().invoke(cli.app, ["--version"])
    assert re.fullmatch(r"webstack \d+\.\d+\.\d+( \([0-9a-f]{7,}(, changed)?\))?\n", result.output), result.output


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab that runs, as far as commands ask, on a machine that they may use."""

    def fine(*_: object) -> None:
        pass

    monkeypatch.setattr("lab.lab_handle.LabHandle.require_running", fine)
    for name in ("require_host", "require_disk_space", "require_root"):
        monkeypatch.setattr(f"ops.lab.requirements.{name}", fine)
    monkeypatch.setattr("ops.setup.ensure_all", fine)
    monkeypatch.setattr("ops.lab.faults.active_fault_lines", lambda _: [])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def test_up_says_to_programs_what_it_came_to(running: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def up(*_: object, **__: object) -> operations.UpResult:
        return operations.UpResult(url="https://198.18.0.1/", operations={"created": 3}, site_message=f"{SITE_UP}https://198.18.0.1/")

    def rows(_: object) -> list[hosts.Host]:
        return [hosts.Host.of({"name": "web-1", "role": "web", "ready": True})]

    monkeypatch.setattr("ops.operations.up", up)
    monkeypatch.setattr("ops.lab.hosts.list_hosts", rows)
    told = json.loads(CliRunner().invoke(cli.app, ["lab", "up", "--json"]).stdout)
    assert told["ok"] is True
    assert told["url"] == "https://198.18.0.1/"
    assert told["operations"] == {"created": 3}
    assert told["site"] == {"answers": True, "message": f"{SITE_UP}https://198.18.0.1/"}
    assert [host["name"] for host in told["hosts"]] == ["web-1"]
    assert told["seconds"] >= 0


def test_a_plan_is_told_to_programs_step_by_step(running: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def plans(*_: object, **__: object) -> tuple[str, list[PlannedStep]]:
        return "text for people", [PlannedStep(operation="create", type="aws:ec2/instance:Instance", name="web-3")]

    monkeypatch.setattr("ops.operations.preview", plans)
    told = json.loads(CliRunner().invoke(cli.app, ["lab", "preview", "--json"]).stdout)
    assert told == {"ok": True, "changes": [{"operation": "create", "type": "aws:ec2/instance:Instance", "name": "web-3"}]}


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"exec", "logs", "setup", "fault"}))
def test_a_command_has_words_for_programs(command: str) -> None:
    """But for those whose output is another program's, or only progress."""
    assert "--json" in CliRunner().invoke(cli.app, ["lab", command, "--help"]).output


def test_what_was_done_is_told_to_programs_too(running: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def done(*_: object, **__: object) -> tuple[str, dict[str, int]]:
        return "text for people", {"updated": 2}

    acted: list[tuple[object, ...]] = []

    def act(*given: object) -> None:
        acted.append(given[1:])

    def told(*line: str) -> object:
        return json.loads(CliRunner().invoke(cli.app, ["lab", *line, "--json"]).stdout)

    monkeypatch.setattr("ops.operations.refresh", done)
    monkeypatch.setattr("ops.operations.destroy", done)
    monkeypatch.setattr("ops.operations.take_down", done)
    monkeypatch.setattr("ops.lab.control_client.host_action", act)
    assert told("refresh") == told("destroy") == {"ok": True, "operations": {"updated": 2}}
    assert told("down", "--lab", "mine") == {"ok": True, "lab": "mine"}
    assert [told(action, "web-1") for action in ("kill", "stop", "start")] == [
        {"ok": True, "host": "web-1", "action": action} for action in ("kill", "stop", "start")
    ]
    assert acted == [("web-1", "kill"), ("web-1", "stop"), ("web-1", "start")]


def test_urls_and_quotas_are_told_to_programs_too(running: None, monkeypatch: pytest.MonkeyPatch) -> None:
    told = CliRunner().invoke(cli.app, ["lab", "url", "--api", "--json", "--lab", "mine"]).stdout
    assert json.loads(told) == {"url": LabNames.of("mine").api_endpoint}

    def quotas(*_: object) -> dict[str, int]:
        return {"vcpus": 64}

    monkeypatch.setattr("ops.quotas.quotas", quotas)
    assert json.loads(CliRunner().invoke(cli.app, ["lab", "quota", "--json"]).stdout) == {"vcpus": 64}


def test_url_knows_the_api_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs(_: object) -> None:
        pass

    monkeypatch.setattr("lab.lab_handle.LabHandle.require_running", runs)
    result = CliRunner().invoke(cli.app, ["lab", "url", "--api", "--lab", "mine"])
    assert result.output == LabNames.of("mine").api_endpoint + "\n"


@pytest.mark.programs
def test_env_gives_the_administrators_keys_to_shells_and_programs(running: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    names = LabNames.of("mine")
    refused = CliRunner().invoke(cli.app, ["lab", "env", "--lab", "mine"])
    assert isinstance(refused.exception, AdminKeysError)
    names.state_dir.mkdir(parents=True)
    made = admin_keys.ensure_admin_key(names)
    wanted = {
        "AWS_ENDPOINT_URL": names.api_endpoint,
        "AWS_ACCESS_KEY_ID": made.access_key_id,
        "AWS_SECRET_ACCESS_KEY": made.secret,
    }
    assert json.loads(CliRunner().invoke(cli.app, ["lab", "env", "--json", "--lab", "mine"]).stdout) == wanted
    lines = CliRunner().invoke(cli.app, ["lab", "env", "--lab", "mine"]).stdout
    theirs = {"AWS_PROFILE": "of-my-own", "AWS_SESSION_TOKEN": "of-my-own", "PATH": "/usr/bin:/bin"}
    shell = subprocess.run(["sh", "-c", f"{lines}env"], env=theirs, capture_output=True, text=True, check=True, timeout=10)
    assert {line for line in shell.stdout.splitlines() if line.startswith("AWS_")} == {f"{key}={value}" for key, value in wanted.items()}


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)

    def which(program: str) -> str | None:
        return None if program == "nft" else f"/usr/bin/{program}"

    monkeypatch.setattr("shutil.which", which)
    with pytest.raises(UserError, match="needs these packages: nftables"):
        requirements.require_host("webstack lab up")


def test_a_kernel_without_xfs_is_refused_once_its_module_has_been_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", "/usr/bin/{}".format)
    listed = tmp_path / "filesystems"
    monkeypatch.setattr(requirements, "FILE_SYSTEMS", listed)
    asked: list[list[str]] = []
    brings = ""

    def modprobe(command: list[str], *, check: bool) -> None:
        asked.append(command)
        listed.write_text(listed.read_text() + brings)

    monkeypatch.setattr("subprocess.run", modprobe)
    listed.write_text("nodev\tproc\n\text4\n\txfs\n")
    requirements.require_host("webstack lab up")
    assert asked == []
    listed.write_text("nodev\tproc\n\text4\n")
    with pytest.raises(UserError, match="needs a kernel with XFS"):
        requirements.require_host("webstack lab up")
    brings = "\txfs\n"
    requirements.require_host("webstack lab up")
    assert asked == [["/usr/bin/modprobe", "--quiet", "xfs"]] * 2


def test_another_system_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(UserError, match="needs Linux"):
        requirements.require_host("webstack lab up")
