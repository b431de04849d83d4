"""Which plugins `--provider real` takes, and what it says where they are not there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi._types as sdk_types
import pytest
from pulumi_aws import ProviderArgs
from pulumi_aws._inputs import ProviderEndpointArgs

from lab.engine.engine import lab_config
from lab.engine.real_providers import RealProviderError, check_installed, link_plugins, plugin_folder
from lab.engine.sdk_plugins import SdkPlugin, sdk_plugins
from lab.lab_handle import LabHandle
from lab.names import LabNames
from ops.engine_factory import provider_for
from ops.errors import UserError
from ops.options import Provider

WANTED = [SdkPlugin(name="aws", version="7.51.1")]
COMMAND = "pulumi plugin install resource aws v7.51.1"


def install(folder: Path, name: str) -> None:
    plugin = folder / name
    plugin.mkdir(parents=True)
    (plugin / "pulumi-resource-aws").write_text("")
    (plugin / "pulumi-resource-aws").chmod(0o755)


def refusal(folder: Path) -> str:
    with pytest.raises(RealProviderError) as caught:
        check_installed(folder, WANTED)
    return str(caught.value)


def test_the_pinned_version_is_taken(tmp_path: Path) -> None:
    install(tmp_path, "resource-aws-v7.51.1")
    check_installed(tmp_path, WANTED)


def test_nothing_there_gives_the_command(tmp_path: Path) -> None:
    said = refusal(tmp_path / "none")
    assert COMMAND in said
    assert "there is none" in said
    assert str(tmp_path / "none") in said


def test_another_version_is_named_and_not_taken(tmp_path: Path) -> None:
    install(tmp_path, "resource-aws-v7.40.0")
    install(tmp_path, "resource-aws-native-v1.0.0")
    (tmp_path / "resource-aws-v7.51.1.lock").write_text("")
    said = refusal(tmp_path)
    assert "there is only v7.40.0:" in said
    assert COMMAND in said


def gone(program: Path) -> None:
    program.unlink()


def half_installed(program: Path) -> None:
    (program.parents[1] / "resource-aws-v7.51.1.partial").write_text("")


def not_executable(program: Path) -> None:
    program.chmod(0o644)


def a_folder(program: Path) -> None:
    program.unlink()
    program.mkdir()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (gone, "; there is none:"),
        (half_installed, "; that one is half installed:"),
        (not_executable, "/pulumi-resource-aws is not executable:"),
        (a_folder, "/pulumi-resource-aws is no file:"),
    ],
)
def test_a_plugin_that_cannot_be_started_is_none(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    install(tmp_path, "resource-aws-v7.51.1")
    damage(tmp_path / "resource-aws-v7.51.1" / "pulumi-resource-aws")
    refused = refusal(tmp_path)
    assert said in refused
    assert COMMAND in refused


def test_a_plugin_of_another_server_is_got_from_there(tmp_path: Path) -> None:
    with pytest.raises(RealProviderError, match=r"resource other v1\.0\.0 --server https://plugins\.example\.com"):
        check_installed(tmp_path, [SdkPlugin(name="other", version="1.0.0", server="https://plugins.example.com")])


def test_the_plugins_of_the_user_are_looked_for_where_the_cli_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    assert plugin_folder() == tmp_path / ".pulumi" / "plugins"
    monkeypatch.setenv("PULUMI_HOME", "/opt/pulumi")
    assert plugin_folder() == Path("/opt/pulumi/plugins")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_HOME", "mine")
    assert plugin_folder() == tmp_path / "mine" / "plugins"


def test_the_engine_s_plugins_are_those_and_what_is_no_link_is_left_alone(tmp_path: Path) -> None:
    for _ in range(2):
        link_plugins(tmp_path / "home", tmp_path / "plugins")
        assert (tmp_path / "home" / "plugins").readlink() == tmp_path / "plugins"
    (tmp_path / "other" / "plugins").mkdir(parents=True)
    with pytest.raises(RealProviderError, match="move it away"):
        link_plugins(tmp_path / "other", tmp_path / "plugins")


def test_both_sdks_of_the_program_ask_for_their_plugins() -> None:
    assert {plugin.name for plugin in sdk_plugins()} == {"aws", "random"}


def test_every_setting_is_one_that_the_real_provider_has() -> None:
    names = set(sdk_types.input_type_py_to_pulumi_names(ProviderArgs).values())
    endpoints = set(sdk_types.input_type_py_to_pulumi_names(ProviderEndpointArgs).values())
    settings: dict[str, Any] = lab_config("http://127.0.0.1:1", "real")
    assert {key.removeprefix("aws:") for key in settings} <= names
    assert set(settings["aws:endpoints"][0]) <= endpoints


def test_the_real_provider_finds_s3_control_in_the_lab_too() -> None:
    """Without an endpoint it would ask AWS for the tags of a bucket; and before the endpoint's host it writes the account's number."""
    settings: dict[str, Any] = lab_config("http://127.0.0.1:1", "real")
    assert settings["aws:endpoints"][0]["s3control"] == settings["aws:httpProxy"] == "http://127.0.0.1:1"
    assert not lab_config("http://127.0.0.1:1").keys() & {"aws:httpProxy", "aws:skipRequestingAccountId"}


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabHandle:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    return LabHandle(names=LabNames.of("unit"))


@pytest.mark.parametrize("held", ["lab", "real"])
def test_a_stack_stays_with_the_provider_that_made_it(session: LabHandle, held: str) -> None:
    session.record_stack(stack="dev", provider=held)
    assert provider_for(session, None) == held
    assert provider_for(session, Provider(held)) == held
    (other,) = set(Provider) - {Provider(held)}
    with pytest.raises(UserError, match=rf"--provider {other}: .*deployed with provider '{held}'.*--lab {other}.*webstack lab down"):
        provider_for(session, other)


def test_a_lab_that_holds_nothing_takes_either(session: LabHandle) -> None:
    assert provider_for(session, None) == "lab"
    assert provider_for(session, Provider.REAL) == "real"
