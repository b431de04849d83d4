"""The engine's scratch folder: settings replace values, the clone is never written to, mistakes are said."""

from pathlib import Path

import pytest
import yaml

from lab.engine.workspace import Setting, SettingError, lay_out


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: webstack\nruntime: python\n")
    (folder / "Pulumi.dev.yaml").write_text("config:\n  aws:region: eu-central-1\n  webstack:web:\n    count: 2\n    app: app\n")
    return folder


def stack_file(folder: Path) -> dict[str, dict[str, object]]:
    return yaml.safe_load((folder / "Pulumi.dev.yaml").read_text())


def test_a_setting_replaces_one_value_and_leaves_its_neighbours(repository: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("web.count=3")])
    assert stack_file(tmp_path / "work")["config"] == {"aws:region": "eu-central-1", "webstack:web": {"count": 3, "app": "app"}}


def test_a_setting_makes_the_object_it_needs(repository: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("loadBalancer.tls.mode=secret")])
    assert stack_file(tmp_path / "work")["config"]["webstack:loadBalancer"] == {"tls": {"mode": "secret"}}


def test_a_setting_of_another_namespace_keeps_it() -> None:
    assert Setting.parse("aws:region=eu-west-1") == Setting(key="aws:region", path=(), value="eu-west-1")


def test_a_value_is_yaml() -> None:
    assert Setting.parse("loadBalancer.allowedCidrs=[198.51.100.0/24]").value == ["198.51.100.0/24"]


@pytest.mark.parametrize("text", ["web.count", "=3", "web..count=3", "web.count=[", ".=1"])
def test_a_setting_of_another_form_is_refused_with_what_was_given(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        Setting.parse(text)
    assert text in str(caught.value)


def test_a_setting_below_a_plain_value_is_refused(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="not an object"):
        lay_out(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("web.count.deep=3")])


def test_an_unknown_stack_names_those_there_are(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no Pulumi\.stage\.yaml here\. Stack files: dev"):
        lay_out(tmp_path / "work", repository=repository, stack="stage")


def test_the_clone_is_not_written_to_and_the_engine_keeps_its_salt(repository: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    before = {path.name: path.read_text() for path in repository.iterdir()}
    lay_out(work, repository=repository, stack="dev")
    (work / "Pulumi.dev.yaml").write_text("encryptionsalt: v1:abc\n" + (work / "Pulumi.dev.yaml").read_text())
    lay_out(work, repository=repository, stack="dev", settings=[Setting.parse("web.count=5")])
    assert {path.name: path.read_text() for path in repository.iterdir()} == before
    assert stack_file(work)["encryptionsalt"] == "v1:abc"
    assert stack_file(work)["config"]["webstack:web"] == {"count": 5, "app": "app"}
