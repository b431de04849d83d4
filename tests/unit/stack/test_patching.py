"""The times of security upgrades: no two hosts of a tier install them at once, and a host keeps its time whatever else changes."""

import itertools
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from webstack_host.variables import Role

from stack.patching import STAGGER_MINUTES, reboot_day, upgrade_schedule
from stack.roles import ROLES, role_spec
from stack.sections import PatchingSettings
from tests.unit.stack.conftest import ProgramRunner

HOURS = st.integers(0, 23)


def chosen(**values: Any) -> PatchingSettings:
    return PatchingSettings.model_validate(values)


def minutes(role: Role, number: int, hour: int) -> int:
    """A host's time, in minutes of the day."""
    day, time, zone = upgrade_schedule(chosen(hour=hour), number, second_host_first=role_spec(role).is_fixed).split()
    assert (day, zone) == ("*-*-*", "UTC")
    return int(time[:2]) * 60 + int(time[3:])


@given(HOURS)
def test_the_two_of_a_pair_have_an_hour_each_and_the_second_the_first(hour: int) -> None:
    for role in ("load_balancer", "database"):
        assert (minutes(role, 2, hour), minutes(role, 1, hour)) == (hour * 60, (hour + 1) % 24 * 60)


@given(HOURS)
def test_each_of_24_web_hosts_has_an_hour_and_no_two_of_250_a_time(hour: int) -> None:
    times = [minutes("web", number, hour) for number in range(1, 251)]
    assert [time // 60 for time in times[:24]] == [(hour + place) % 24 for place in range(24)]
    assert {time % 60 for time in times[:24]} == {0}
    ordered = sorted(times)
    assert min(later - earlier for earlier, later in itertools.pairwise(ordered)) >= STAGGER_MINUTES


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_host_is_told_a_time_that_no_other_of_its_tier_has(program: ProgramRunner, stack: str) -> None:
    times: dict[str, list[str]] = {}
    for host in program(stack).by_type("aws:ec2/instance:Instance"):
        files = {file["path"]: file["content"] for file in yaml.safe_load(host.inputs["userData"])["write_files"]}
        told = json.loads(files["/etc/webstack/host.json"])
        assert told["reboot_day"] == "sunday"
        times.setdefault(told["role"], []).append(told["upgrades_at"])
    assert {role: len(found) for role, found in times.items()} == {"load_balancer": 1, "web": {"dev": 2, "prod": 3}[stack], "database": 2}
    for found in times.values():
        assert all(found)
        assert len(set(found)) == len(found)


@pytest.mark.parametrize("role", ROLES)
def test_who_wants_no_upgrades_has_no_time_and_no_reboot(role: Role) -> None:
    assert upgrade_schedule(chosen(upgrades=False), 1, second_host_first=role_spec(role).is_fixed) == ""
    assert reboot_day(chosen(upgrades=False)) == ""


@pytest.mark.parametrize(("setting", "told"), [("never", ""), ("daily", "daily"), ("sunday", "sunday"), ("friday", "friday")])
def test_the_day_of_reboots_is_told_as_it_is_set(setting: str, told: str) -> None:
    assert reboot_day(chosen(rebootDay=setting)) == told
