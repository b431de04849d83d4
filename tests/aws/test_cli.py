"""The README's commands for AWS, typed into the real CLI in an activated environment: it runs the program by a language host."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.engine import install_cli
from lab.engine.engine import lab_config
from lab.engine.provider_process import ProviderProcess
from lab.paths import REPOSITORY
from lab.standalone_moto import standalone_moto


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
            }
        finally:
            provider.stop()


def commands() -> list[str]:
    """The `pulumi` commands of the README's part on AWS, in their order."""
    block = re.search(r"## On AWS\n\n((?:    .*\n)+)", (REPOSITORY / "README.md").read_text())
    assert block, "the README's part on AWS begins with its commands"
    lines = [line.partition("#")[0].strip() for line in block[1].splitlines()]
    return [command for line in lines for command in line.split(" && ") if command.startswith("pulumi ")]


def test_the_readmes_commands_plan_the_whole_stack(copy: Path, variables: dict[str, str]) -> None:
    state = copy / "state"
    state.mkdir()
    instead = {"pulumi login s3://my-state-bucket": f"pulumi login {state.as_uri()}", "pulumi up": "pulumi preview --json"}
    typed = [instead.get(command, command) for command in commands()]
    assert [command.split()[1] for command in typed] == ["login", "stack", "preview"]
    last = ""
    for command in typed:
        result = subprocess.run(command.split(), cwd=copy, env=variables, capture_output=True, text=True, check=False, timeout=300)
        assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        last = result.stdout
    planned = json.loads(last)["changeSummary"]
    promised = re.search(r"`pulumi preview` of dev: (\d+) resources to create", (REPOSITORY / "docs/deploying.md").read_text())
    assert promised
    assert planned == {"create": int(promised[1])}, "as docs/deploying.md says"
    assert "encryptionsalt" in (copy / "Pulumi.dev.yaml").read_text(), "what `webstack lab` has to live with"
