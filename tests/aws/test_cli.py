"""The documents' `pulumi` commands, typed into the real CLI in an activated environment: it runs the program by a language host."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.engine import install_cli
from lab.engine.engine import lab_config
from lab.engine.provider_process import ProviderProcess
from lab.paths import REPOSITORY, cache_folder
from lab.standalone_moto import standalone_moto
from tests.aws.api import Api, tags
from tests.documented_commands import Command, documented_commands

DOCUMENTED = {str(command): command for command in documented_commands() if command.program == "pulumi"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment as `make pulumi` leaves it, on a machine whose PATH has no pulumi."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "bin").mkdir()
    bare = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if not (Path(part) / "pulumi").exists())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", bare)
        install_cli.install(environment=folder)
    return folder / "bin"


@pytest.fixture
def variables(copy: Path, tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Iterator[dict[str, str]]:
    """An AWS user's variables, with the lab's API in AWS's place; nothing else of this process's."""
    home = tmp_path_factory.mktemp("home")
    (copy / ".venv").symlink_to(sys.prefix)
    with standalone_moto(home) as endpoint:
        file = copy / "Pulumi.dev.yaml"
        stack = yaml.safe_load(file.read_text())
        stack["config"].update(lab_config(endpoint))
        file.write_text(yaml.safe_dump(stack))
        provider = ProviderProcess(endpoint=endpoint, folder=home)
        provider.start()
        try:
            yield {
                "HOME": str(home),
                "PATH": f"{environment}{os.pathsep}{os.environ['PATH']}",
                "AWS_ACCESS_KEY_ID": "lab",
                "AWS_SECRET_ACCESS_KEY": "lab",
                "PULUMI_CONFIG_PASSPHRASE": "words",
                "PULUMI_DEBUG_PROVIDERS": provider.debug_providers(),
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "WEBSTACK_CACHE": str(cache_folder()),
            }
        finally:
            provider.stop()


def commands() -> list[str]:
    """The `pulumi` commands of the README's part on AWS, in their order."""
    block = re.search(r"## On AWS\n\n((?:    .*\n)+)", (REPOSITORY / "README.md").read_text())
    assert block, "the README's part on AWS begins with its commands"
    lines = [line.partition("#")[0].strip() for line in block[1].splitlines()]
    return [command for line in lines for command in line.split(" && ") if command.startswith("pulumi ")]


def test_a_stack_lives_by_the_commands_that_documents_have(copy: Path, variables: dict[str, str]) -> None:
    """The README's plan the whole stack; then settings, outputs, a host that is replaced by name, one that is gone, and the end."""
    state = copy / "state"
    state.mkdir()

    def run(line: str, *more: str, **instead: str) -> str:
        words = [instead.get(word, word) for word in DOCUMENTED[line].words]
        confirmed = ["--yes"] if words[1] in ("up", "destroy", "state") else []
        typed = [*words, *confirmed, *more]
        result = subprocess.run(typed, cwd=copy, env=variables, capture_output=True, text=True, check=False, timeout=300)
        assert result.returncode == 0, f"{shlex.join(typed)}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        return result.stdout

    assert commands() == ["pulumi login s3://my-state-bucket", "pulumi stack init dev", "pulumi up"]
    run(commands()[0], **{"s3://my-state-bucket": state.as_uri()})
    run(commands()[1])
    planned = json.loads(run("pulumi preview", "--json"))["changeSummary"]
    promised = re.search(r"`pulumi preview` of dev: (\d+) resources to create", (REPOSITORY / "docs/deploying.md").read_text())
    assert promised
    assert planned == {"create": int(promised[1])}, "as docs/deploying.md says"
    file = copy / "Pulumi.dev.yaml"
    assert "encryptionsalt" in file.read_text(), "what `webstack lab` has to live with"

    # Nobody boots hosts here.
    stack = yaml.safe_load(file.read_text())
    stack["config"]["webstack:readiness"] = {"wait": False}
    file.write_text(yaml.safe_dump(stack))
    api = Api(stack["config"]["aws:endpoints"][0]["ec2"])

    def hosts() -> dict[str, str]:
        return {tags(host)["host"]: host["InstanceId"] for host in api.instances()}

    run("pulumi config set --path webstack:web.count 3")
    run("pulumi config set --path 'aws:allowedAccountIds[0]' 123456789012")
    run("pulumi up")
    made = hosts()
    assert sorted(made) == ["db-1", "db-2", "lb-1", "web-1", "web-2", "web-3"]
    assert run("pulumi stack output bucket_name").strip() == api.bucket()
    assert json.loads(run("pulumi stack output --json instance_ids")) == made

    [pattern] = re.findall(r"pulumi stack --show-urns \| grep -o '(.+?)'", (REPOSITORY / "docs/runbooks.md").read_text())
    [db_2] = re.findall(pattern, run("pulumi stack --show-urns"), re.MULTILINE)
    run("pulumi state unprotect URN", URN=db_2)
    run("pulumi up --replace URN", URN=db_2)
    assert {name for name, instance in hosts().items() if made[name] != instance} == {"db-2"}

    api.ec2.terminate_instances(InstanceIds=[made["web-3"]])
    run("pulumi up --refresh")
    assert sorted(hosts()) == sorted(made)
    run("pulumi destroy")
    assert hosts() == {}


@pytest.mark.parametrize("command", DOCUMENTED.values(), ids=str)
def test_the_cli_knows_the_options_that_documents_give(command: Command, environment: Path) -> None:
    words = command.name.split()
    shown = subprocess.run([environment / "pulumi", *words[1:], "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    named = re.findall(r"^(?:Usage|Aliases):\n  (.+)$", shown, re.MULTILINE)
    assert any(line.startswith(f"{command.name} ") for line in named) or words[-1] in re.split(r"[\s,]+", " ".join(named)), (
        "no such command"
    )
    assert [option for option in command.options if not re.search(rf"(?<![\w-]){option}(?![\w-])", shown)] == []
