"""The engine's scratch folder: settings replace values, the clone is never written to, mistakes are said."""

from pathlib import Path

import pytest
import yaml

from lab.engine.state_errors import CorruptStateError
from lab.engine.workspace import Setting, SettingError, stack_names, write_workspace


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
    write_workspace(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("web.count=3")])
    assert stack_file(tmp_path / "work")["config"] == {"aws:region": "eu-central-1", "webstack:web": {"count": 3, "app": "app"}}


def test_a_setting_makes_the_object_it_needs(repository: Path, tmp_path: Path) -> None:
    write_workspace(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("loadBalancer.tls.mode=secret")])
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


def test_a_value_that_is_no_date_is_a_text_and_a_matter_of_the_program_s_rules() -> None:
    assert Setting.parse("environment.expires=2030-13-31T18:00:00Z").value == "2030-13-31T18:00:00Z"


REFUSED_VALUES = [
    ("9" * 5000, "no whole number of 64 bits"),
    ("&a {count: *a}", "contains itself"),
    (".nan", "'.nan' in line 1, and that is no finite number: write one"),
    ("{count: 1, count: 2}", "has the key 'count' twice"),
]


@pytest.mark.parametrize(("value", "said"), REFUSED_VALUES, ids=[said for _, said in REFUSED_VALUES])
def test_a_value_that_no_stack_file_holds_is_refused_in_words_on_one_short_line(value: str, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        Setting.parse(f"web={value}")
    assert said in str(caught.value)
    assert str(caught.value).startswith("--set 'web=")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_setting_below_a_plain_value_is_refused(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="not an object"):
        write_workspace(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("web.count.deep=3")])


def test_an_unknown_stack_names_those_there_are(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no Pulumi\.stage\.yaml here\. Stack files: dev"):
        write_workspace(tmp_path / "work", repository=repository, stack="stage")


def test_the_clone_is_not_written_to_and_the_engine_keeps_its_salt(repository: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    before = {path.name: path.read_text() for path in repository.iterdir()}
    write_workspace(work, repository=repository, stack="dev")
    (work / "Pulumi.dev.yaml").write_text("encryptionsalt: v1:abc\n" + (work / "Pulumi.dev.yaml").read_text())
    write_workspace(work, repository=repository, stack="dev", settings=[Setting.parse("web.count=5")])
    assert {path.name: path.read_text() for path in repository.iterdir()} == before
    assert stack_file(work)["encryptionsalt"] == "v1:abc"
    assert stack_file(work)["config"]["webstack:web"] == {"count": 5, "app": "app"}


def test_of_a_stack_file_only_the_configuration_is_taken_and_of_that_not_who_calls_aws(repository: Path, tmp_path: Path) -> None:
    (repository / "Pulumi.dev.yaml").write_text(
        "# what `pulumi stack init` and `pulumi config` write\n"
        "secretsprovider: awskms://alias/pulumi\nencryptedkey: AQEC\nencryptionsalt: v1:foreign:v1:salt\nenvironment: [aws-login]\n"
        "config:\n  aws:region: eu-central-1\n  aws:profile: work\n  aws:allowedAccountIds: ['111122223333']\n"
        "  aws:secretKey: {secure: AAAA}\n  webstack:web: {count: 2}"
    )
    write_workspace(tmp_path / "work", repository=repository, stack="dev", lab_config={"aws:s3UsePathStyle": True})
    assert stack_file(tmp_path / "work") == {
        "config": {"aws:region": "eu-central-1", "webstack:web": {"count": 2}, "aws:s3UsePathStyle": True}
    }


def test_a_setting_may_still_say_who_calls(repository: Path, tmp_path: Path) -> None:
    write_workspace(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("aws:profile=work")])
    assert stack_file(tmp_path / "work")["config"]["aws:profile"] == "work"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("webstack:web: {secure: AAAA}", "--set web=VALUE"),
        ("webstack:loadBalancer: {tls: {secret: {secure: AAAA}}}", "--set loadBalancer.tls.secret=VALUE"),
        ("webstack:network: {avoidCidrs: [{secure: AAAA}]}", "network.avoidCidrs.0"),
        ("datadog:apiKey: {secure: AAAA}", "--set datadog:apiKey=VALUE"),
    ],
)
def test_a_secure_value_is_refused_by_name_with_what_to_do(repository: Path, tmp_path: Path, text: str, key: str) -> None:
    (repository / "Pulumi.dev.yaml").write_text(f"config:\n  {text}\n")
    with pytest.raises(SettingError, match=r"Pulumi\.dev\.yaml: .* is encrypted with a key that the lab does not have") as caught:
        write_workspace(tmp_path / "work", repository=repository, stack="dev")
    assert key in str(caught.value)


def test_a_setting_in_place_of_a_secure_value_is_taken(repository: Path, tmp_path: Path) -> None:
    (repository / "Pulumi.dev.yaml").write_text("config:\n  webstack:loadBalancer: {domain: {secure: AAAA}}\n")
    write_workspace(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("loadBalancer.domain=shop.example.com")])
    assert stack_file(tmp_path / "work")["config"]["webstack:loadBalancer"] == {"domain": "shop.example.com"}


def test_a_time_stays_as_it_is_written(repository: Path, tmp_path: Path) -> None:
    (repository / "Pulumi.dev.yaml").write_text("config:\n  webstack:environment: {expires: 2030-01-31T18:00:00Z}\n")
    write_workspace(tmp_path / "work", repository=repository, stack="dev")
    assert stack_file(tmp_path / "work")["config"]["webstack:environment"] == {"expires": "2030-01-31T18:00:00Z"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"config: [", "is not YAML"),
        (b"config:\n  \xff: 1\n", "is not YAML"),
        (b"- config\n", "a stack file is an object"),
        (b"config: [1]\n", "`config` is [1]"),
        (b"config:\n  1: {secure: x}\n", "'1' is no configuration key; write NAMESPACE:NAME"),
        (b"config: &a\n  webstack:web: *a\n", "contains itself, by the anchor in line 1"),
        (b"config:\n  webstack:web: {}\n  webstack:web: {}\n", "has the key 'webstack:web' twice, in line 2 and line 3"),
        (b"config: {}\nconfig: {}\n", "has the key 'config' twice"),
        (b"config:\n  webstack:web: {}\n  web: {}\n", "webstack:web stands there twice"),
    ],
)
def test_a_malformed_stack_file_is_named(repository: Path, tmp_path: Path, content: bytes, said: str) -> None:
    (repository / "Pulumi.dev.yaml").write_bytes(content)
    with pytest.raises(SettingError) as caught:
        write_workspace(tmp_path / "work", repository=repository, stack="dev")
    assert "Pulumi.dev.yaml" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"# only this\n", b"config:", b"\xef\xbb\xbfconfig: {}\r\n"])
def test_an_empty_stack_file_is_one_without_settings(repository: Path, tmp_path: Path, content: bytes) -> None:
    (repository / "Pulumi.dev.yaml").write_bytes(content)
    write_workspace(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("web.count=3")])
    assert stack_file(tmp_path / "work") == {"config": {"webstack:web": {"count": 3}}}


@pytest.mark.parametrize("left", ["", "encryptionsalt: [", "encryptio"])
def test_a_scratch_file_that_a_killed_run_left_half_written_is_written_anew(repository: Path, tmp_path: Path, left: str) -> None:
    work = tmp_path / "work"
    write_workspace(work, repository=repository, stack="dev")
    whole = stack_file(work)
    (work / "Pulumi.dev.yaml").write_text(left)
    write_workspace(work, repository=repository, stack="dev")
    assert stack_file(work) == whole


def test_a_folder_in_a_stack_file_s_place_is_named(repository: Path, tmp_path: Path) -> None:
    (repository / "Pulumi.eu.yaml").mkdir()
    assert stack_names(repository) == ["dev"]
    with pytest.raises(SettingError, match=r"--stack 'eu': .*Pulumi\.eu\.yaml is a folder; a stack's configuration is a YAML file"):
        write_workspace(tmp_path / "work", repository=repository, stack="eu")
    with pytest.raises(SettingError, match=r"--config-file '/.*/clone': .* is a folder"):
        write_workspace(tmp_path / "work", repository=repository, stack="dev", config_file=repository)
    with pytest.raises(SettingError, match=r"--stack 'x+': .* cannot be read: File name too long"):
        write_workspace(tmp_path / "work", repository=repository, stack="x" * 300)


@pytest.mark.parametrize("name", ["Pulumi.dev.yaml", "Pulumi.yaml", "."])
def test_a_scratch_folder_that_cannot_be_written_is_damage_with_a_remedy(repository: Path, tmp_path: Path, name: str) -> None:
    work = tmp_path / "work"
    if name == ".":
        work.write_text("")
    else:
        (work / name).mkdir(parents=True)
    with pytest.raises(CorruptStateError, match=rf"{work / name}: is a folder where a file belongs.*`webstack lab up`"):
        write_workspace(work, repository=repository, stack="dev")


def test_a_key_without_a_namespace_is_the_project_s(repository: Path, tmp_path: Path) -> None:
    (repository / "Pulumi.dev.yaml").write_text("config:\n  web: {app: app}\n")
    write_workspace(tmp_path / "work", repository=repository, stack="dev", settings=[Setting.parse("web.count=3")])
    assert stack_file(tmp_path / "work")["config"] == {"webstack:web": {"app": "app", "count": 3}}


def test_stack_names_may_hold_dots_and_what_is_kept_beside_a_stack_file_is_no_stack(repository: Path) -> None:
    for name in ("Pulumi.eu.stage.yaml", "Pulumi.dev.yaml.bak", "Pulumi.dev.yaml~", ".Pulumi.dev.yaml.swp"):
        (repository / name).write_text("config: {}\n")
    assert stack_names(repository) == ["dev", "eu.stage"]


def test_a_configuration_file_takes_the_place_of_the_clone_s(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.yaml"
    other.write_text("config:\n  webstack:web: {count: 7}\n")
    write_workspace(tmp_path / "work", repository=repository, stack="dev", config_file=other)
    assert stack_file(tmp_path / "work")["config"] == {"webstack:web": {"count": 7}}
    with pytest.raises(SettingError, match=r"--config-file .*gone\.yaml"):
        write_workspace(tmp_path / "work", repository=repository, stack="dev", config_file=tmp_path / "gone.yaml")
