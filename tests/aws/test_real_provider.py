"""`--provider real`: the engine starts the installed plugins of the pinned versions, and they are pointed at the lab's API alone."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.aws_services import SERVICES
from lab.engine import pulumi_cli
from lab.engine.engine import Engine, EngineOptions
from lab.engine.real_providers import RealProviderError
from lab.engine.sdk_plugins import sdk_plugins
from lab.paths import REPOSITORY
from lab.standalone_moto import standalone_moto
from tests.aws.fake_plugin import install

PROGRAM = """
import pulumi
import pulumi_aws
import pulumi_random

word = pulumi_random.RandomPassword("word", length=12)
secret = pulumi_aws.secretsmanager.Secret("secret", name="a-secret")
pulumi.export("arn", secret.arn)
"""

REAL = {
    "region": "eu-central-1",
    "s3UsePathStyle": "true",
    "skipCredentialsValidation": "true",
    "skipMetadataApiCheck": "true",
    "skipRegionValidation": "true",
    "skipRequestingAccountId": "false",
}


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineOptions]:
    """A small program of both providers, and a user with an AWS account of their own."""
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFMYOWN")
    monkeypatch.setenv("AWS_PROFILE", "of-my-own")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.com")
    (tmp_path / "Pulumi.yaml").write_text("name: webstack\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {'aws:region': eu-central-1}\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    with tempfile.TemporaryDirectory() as folder, standalone_moto(Path(folder)) as endpoint:
        yield EngineOptions(
            home=Path(folder) / "engine",
            repository=tmp_path,
            stack="dev",
            endpoint=endpoint,
            pulumi_root=pulumi_cli.ensure(),
            provider="real",
        )


def test_the_installed_plugins_make_the_stack_and_speak_to_the_lab_alone(options: EngineOptions, tmp_path: Path) -> None:
    versions = {plugin.name: plugin.version for plugin in sdk_plugins()}
    folders = {name: install(tmp_path / "pulumi" / "plugins", name, version, REPOSITORY) for name, version in versions.items()}
    with Engine(options) as engine:
        assert engine.up().summary.resource_changes == {"create": 3}
        assert engine.preview().change_summary == {"same": 3}
        engine.refresh()
        assert engine.destroy().summary.resource_changes == {"delete": 3}
    told = json.loads((folders["aws"] / "configured.json").read_text())
    arguments = told["arguments"]
    assert json.loads(arguments["endpoints"]) == [dict.fromkeys((*SERVICES, "s3control"), options.endpoint)]
    assert arguments["httpProxy"] == options.endpoint
    assert {key: arguments.get(key) for key in REAL} == REAL
    assert told["environment"] == {
        "AWS_ACCESS_KEY_ID": "lab",
        "AWS_SECRET_ACCESS_KEY": "lab",
        "AWS_ENDPOINT_URL": options.endpoint,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    assert (folders["random"] / "configured.json").exists(), "the random provider is the installed one too"


def test_without_the_plugins_the_commands_that_get_them_are_told(options: EngineOptions) -> None:
    with pytest.raises(RealProviderError, match="pulumi plugin install resource aws v") as caught, Engine(options):
        pass
    assert "pulumi plugin install resource random v" in str(caught.value)
