"""Configuration judged whole: what depends on the stack's name, the region, the app's folder, and the user data that comes of it all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pulumi
import pytest
import yaml
from webstack_host.variables import Bundle, HostVariables

from stack import configuration
from stack.configuration import app_problems, validate
from stack.problems import ConfigurationError, Problem
from stack.regions import known_regions, region_problem
from stack.roles import ROLES, load_balancer
from stack.roles.spec import HostInputs
from stack.settings import Settings, parse, reference_rows
from stack.zones import choose_zones
from tests.unit.monitor import StrictMonitor, run
from tests.unit.stack.conftest import REPOSITORY, stack_config
from userdata.render import MAX_USER_DATA_BYTES, TooLargeError, render_user_data

ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")


def sections(stack: str) -> dict[str, Any]:
    return {key.removeprefix("webstack:"): value for key, value in stack_config(stack).items() if key.startswith("webstack:")}


def problem_keys(stack: str = "dev", region: str | None = "eu-central-1", zones: Sequence[str] = ZONES, **more: Any) -> list[Problem]:
    """What is wrong with dev's configuration after changes; none where it is sound."""
    raw, secret = more.pop("raw", sections("dev")), more.pop("secret", frozenset[str]())
    try:
        validate(stack=stack, raw=raw, secret_sections=secret, region=region, zones=lambda: zones, repository=REPOSITORY)
    except ConfigurationError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_stack_files_are_sound(stack: str) -> None:
    environment = validate(stack=stack, raw=sections(stack), region="eu-central-1", zones=lambda: reversed_zones(), repository=REPOSITORY)
    assert environment.zones == ZONES[: environment.settings.network.zones]


def reversed_zones() -> Sequence[str]:
    return tuple(reversed(ZONES))


def test_the_project_file_declares_every_section_and_names_every_key() -> None:
    declared: dict[str, Any] = yaml.safe_load((REPOSITORY / "Pulumi.yaml").read_text())["config"]
    keys: dict[str, list[str]] = {}
    for key, _, _ in reference_rows():
        section, _, rest = key.partition(".")
        keys.setdefault(section, []).append(rest)
    assert sorted(declared) == sorted(keys)
    for section, names in keys.items():
        assert declared[section]["type"] == "object"
        for name in names:
            assert name.rpartition(".")[2] in declared[section]["description"], f"{section}.{name}"


def test_more_zones_than_the_region_has_is_a_mistake_that_names_them() -> None:
    (found,) = problem_keys(zones=ZONES[:1])
    assert (found.key, found.value) == ("webstack:network.zones", 2)
    assert found.rule == "at most 1: eu-central-1 has eu-central-1a"


def test_a_zone_that_the_region_lacks_is_named_with_the_nearest() -> None:
    settings = parse({"network": {"zoneNames": ["eu-central-1a", "eu-central-1z"]}})
    _, (found,) = choose_zones(settings, "eu-central-1", ZONES)
    assert found.key == "webstack:network.zoneNames[1]"
    assert "did you mean eu-central-1" in found.remedy


def test_named_zones_are_used_in_their_order() -> None:
    settings = parse({"network": {"zoneNames": ["eu-central-1c", "eu-central-1a"]}})
    assert choose_zones(settings, "eu-central-1", ZONES) == (("eu-central-1c", "eu-central-1a"), [])


def test_without_a_region_nobody_is_asked_for_its_zones() -> None:
    def never() -> Sequence[str]:
        raise AssertionError("asked")

    with pytest.raises(ConfigurationError, match=r"aws:region = \(not set\)"):
        validate(stack="dev", raw=sections("dev"), region=None, zones=never, repository=REPOSITORY)


@pytest.mark.parametrize("region", ["eu-centrl-1", "eu-central1", "EU-Central-1", "eu-central-1a", "frankfurt", "aws-global", "-", "x\n"])
def test_a_region_that_is_none_is_refused_before_anybody_is_asked(region: str) -> None:
    def never() -> Sequence[str]:
        raise AssertionError("asked")

    with pytest.raises(ConfigurationError) as raised:
        validate(stack="dev", raw=sections("dev"), region=region, zones=never, repository=REPOSITORY)
    (found,) = raised.value.problems
    assert (found.key, found.value) == ("aws:region", region)
    assert ("did you mean eu-central-1?" in found.remedy) is ("centr" in region.lower())


def test_every_region_is_sound_and_so_is_one_that_aws_adds() -> None:
    assert {"eu-central-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1"} <= set(known_regions())
    assert [one for one in (*known_regions(), "eu-central-9", "sa-northwest-3", "us-gov-central-1") if region_problem(one)] == []


def test_a_new_region_for_which_nobody_answers_is_named_with_the_nearest() -> None:
    def load(region: str) -> BaseException:
        silent = mock.patch("stack.configuration.aws.get_availability_zones", side_effect=RuntimeError("no such host"))
        with silent, pytest.raises((ConfigurationError, RuntimeError)) as raised:
            run(lambda: configuration.load() and None, config={"aws:region": region}, monitor=StrictMonitor(preview=True))
        return raised.value

    new = load("eu-central-7")
    assert isinstance(new, ConfigurationError)
    (found,) = new.problems
    assert (found.key, found.value, found.remedy) == ("aws:region", "eu-central-7", "did you mean eu-central-2?")
    assert not isinstance(load("eu-central-1"), ConfigurationError), "what else goes wrong is not the region's name"


@pytest.mark.parametrize("name", ["Dev", "d", "1dev", "dev-", "dev.1", "a" * 25])
def test_a_stack_name_that_no_host_could_carry_is_refused(name: str) -> None:
    assert [found.key for found in problem_keys(stack=name)] == ["stack"]


def test_a_secure_value_inside_an_object_is_refused_and_never_shown() -> None:
    raw = {**sections("dev"), "loadBalancer": {"tls": {"secret": "hunter2", "mode": "secret"}}}
    (found,) = problem_keys(raw=raw, secret=frozenset({"loadBalancer"}))
    assert "no secure value" in found.rule
    assert "hunter2" not in str(found)
    assert "[secret]" in str(found)


def test_an_app_path_without_an_app_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "wsgi.py").write_text("")

    def found(app: str) -> list[str]:
        return [problem.rule for problem in app_problems(parse({"web": {"app": app}}), tmp_path)]

    assert found("nowhere")[0].startswith("the folder of an app; there is none at")
    assert found("file")[0].startswith("the folder of an app; there is none at")
    assert [rule.partition(";")[0] for rule in found("empty")] == [
        "a folder that holds the module of web.module, wsgi:app",
        "a folder with a requirements.lock: hosts install exactly that",
    ]
    assert [rule.partition(":")[0] for rule in found("half")] == ["a folder with a requirements.lock"]


def test_user_data_past_the_limit_is_a_mistake_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(variables: Any) -> str:
        raise TooLargeError(host=variables.host, size=20000)

    monkeypatch.setattr(configuration, "render_user_data", too_large)
    found = problem_keys()
    assert [(problem.key, problem.value) for problem in found] == [
        ("userdata/load_balancer", "lb-1"),
        ("userdata/web", "web-1"),
        ("userdata/web", "web-2"),
        ("userdata/database", "db-1"),
        ("userdata/database", "db-2"),
    ]
    assert "has 20000 bytes and EC2 takes 16384" in found[0].rule
    assert found[0].remedy.startswith("shorten its templates")


def test_the_longest_user_data_of_each_role_leaves_two_kilobytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With values as long as AWS's, the longest stack name and region, and the most hosts that a load balancer has places for."""
    sizes: dict[str, int] = {}

    def measured(variables: HostVariables) -> str:
        text = render_user_data(variables)
        sizes[variables.role] = max(sizes.get(variables.role, 0), len(text.encode()))
        return text

    monkeypatch.setattr(configuration, "render_user_data", measured)
    zones = [f"ap-southeast-2{letter}" for letter in "abc"]
    raw = {"network": {"zones": 3}, "web": {"count": 20}}
    assert problem_keys("a" * 24, "ap-southeast-2", zones, raw={**sections("prod"), **raw}) == []
    assert {role: size for role, size in sizes.items() if size > MAX_USER_DATA_BYTES - 2048} == {}
    assert set(sizes) == set(ROLES)


def test_a_bad_configuration_ends_the_program_before_any_resource_is_registered() -> None:
    monitor = StrictMonitor()
    config = {"aws:region": "eu-central-1", "webstack:web": {"count": 0}, "webstack:netwrok": {}}
    with pytest.raises(pulumi.RunError, match="the configuration has 2 mistakes; nothing was changed"):
        run(lambda: configuration.load() and None, config=config, monitor=monitor)
    assert monitor.program.resources == []


def test_the_engines_word_on_secrets_is_heard() -> None:
    config = {"aws:region": "eu-central-1", "webstack:loadBalancer": {"tls": {"mode": "secret", "secret": "hunter2"}}}
    with pytest.raises(ConfigurationError) as raised:
        run(lambda: configuration.load() and None, config=config, secret_keys=["webstack:loadBalancer"])
    assert "no secure value" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_more_networks_than_a_security_group_has_room_for_are_refused() -> None:
    def judged(count: int) -> list[Problem]:
        networks = [f"192.0.2.{number}/32" for number in range(count)]
        return problem_keys(raw={**sections("dev"), "loadBalancer": {"allowedCidrs": networks}})

    assert judged(30) == []
    (found,) = judged(31)
    assert (found.key, found.value) == ("webstack:loadBalancer.allowedCidrs", "31 networks")
    assert found.rule.startswith("at most 30 networks")


@pytest.mark.parametrize("count", [1, 2, 8, 9, 32, 33, 128, 129, 250])
def test_a_load_balancer_has_room_for_all_web_hosts_twice_as_a_release_needs(count: int) -> None:
    environment = validate(stack="dev", raw={"web": {"count": count}}, region="eu-central-1", zones=lambda: ZONES, repository=REPOSITORY)
    inputs = HostInputs(bucket="b", role_bundle=Bundle(key="k", sha256="0" * 64), secret_prefix="webstack/dev", address="192.0.2.1")
    told = load_balancer.make_variables(environment, 1, inputs)
    assert 2 * count <= told.web_slots


def test_settings_alone_are_enough_where_nothing_is_configured() -> None:
    assert problem_keys(raw={}) == []
    assert Settings().web.app == "app"


def test_an_old_key_is_warned_of_with_its_name_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(configuration.pulumi.log, "warn", warnings.append)
    assert problem_keys(raw={**sections("dev"), "database": {"patience": 9}}) == []
    assert [one for one in warnings if "semiSyncTimeout" in one] == [
        "webstack:database.patience is called webstack:database.semiSyncTimeout now: rename it in the stack file; the old name will not be "
        "understood for ever"
    ]
