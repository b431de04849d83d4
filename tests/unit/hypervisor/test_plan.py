"""The next step with one machine, for every situation that it can be in. What a step does is shown by tests/lab."""

import itertools
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from lab.hypervisor.desired import DesiredMachine, Power, Volume
from lab.hypervisor.plan import Action, ObservedMachine, Step, StopCause, next_step

_ADDRESS = IPv4Interface("10.20.2.11/24")


def _wanted(state: str, *volumes: str, leaving: str | None = None, problem: str | None = None) -> DesiredMachine:
    return DesiredMachine(
        instance_id="i-1",
        region="eu-central-1",
        state=state,
        name="web-1",
        role="web",
        zone="eu-central-1a",
        image_id="ami-1",
        address=_ADDRESS,
        volumes=tuple(Volume(volume_id=volume, size_gib=1) for volume in volumes),
        detaching=frozenset({leaving} if leaving else ()),
        problem=problem,
    )


_OFF = ObservedMachine(running=False, has_root_disk=True)
_ON = ObservedMachine(running=True, has_root_disk=True)


@pytest.mark.parametrize(
    ("state", "power"),
    [
        ("pending", Power.ON),
        ("running", Power.ON),
        ("stopping", Power.OFF),
        ("stopped", Power.OFF),
        ("shutting-down", Power.GONE),
        ("terminated", Power.GONE),
    ],
)
def test_each_state_of_the_api_is_one_wish(state: str, power: Power) -> None:
    assert Power.from_instance_state(state) is power


@pytest.mark.parametrize(
    ("wanted", "actual", "action"),
    [
        (_wanted("pending"), ObservedMachine(running=False), Action.BOOT),
        (_wanted("pending"), _ON, Action.REPORT_STARTED),
        (_wanted("pending"), replace(_ON, reported_power=Power.ON), Action.NOTHING),
        (_wanted("pending"), replace(_OFF, stop_cause=StopCause.FAILED), Action.REPORT_STARTED),
        (_wanted("pending", problem="no subnet"), ObservedMachine(running=False), Action.REPORT_STARTED),
        (_wanted("running"), ObservedMachine(running=False), Action.BOOT),
        (_wanted("running"), _ON, Action.NOTHING),
        (_wanted("running"), replace(_OFF, stop_cause=StopCause.API_STOP, reported_power=Power.OFF), Action.BOOT),
        (_wanted("running"), replace(_OFF, stop_cause=StopCause.REBOOT), Action.BOOT),
        (_wanted("running"), replace(_OFF, stop_cause=StopCause.KILLED), Action.NOTHING),
        (_wanted("running"), replace(_OFF, stop_cause=StopCause.FAILED), Action.NOTHING),
        (_wanted("running", problem="no subnet"), ObservedMachine(running=False), Action.NOTHING),
        (_wanted("stopping"), _ON, Action.SHUT_DOWN),
        (_wanted("stopping"), replace(_OFF, stop_cause=StopCause.API_STOP), Action.REPORT_STOPPED),
        (_wanted("stopping"), replace(_OFF, stop_cause=StopCause.API_STOP, reported_power=Power.ON), Action.REPORT_STOPPED),
        (_wanted("stopping"), replace(_OFF, stop_cause=StopCause.API_STOP, reported_power=Power.OFF), Action.NOTHING),
        (_wanted("stopped"), replace(_OFF, stop_cause=StopCause.KILLED), Action.REPORT_STOPPED),
        (_wanted("stopped"), replace(_OFF, stop_cause=StopCause.KILLED, reported_power=Power.OFF), Action.CLEAR_STOP_CAUSE),
        (_wanted("shutting-down"), _ON, Action.SHUT_DOWN),
        (_wanted("shutting-down"), _OFF, Action.DESTROY),
        (_wanted("shutting-down"), ObservedMachine(running=False), Action.REPORT_TERMINATED),
        (_wanted("shutting-down"), ObservedMachine(running=False, reported_power=Power.GONE), Action.NOTHING),
        (_wanted("terminated"), ObservedMachine(running=False), Action.NOTHING),
        (None, _ON, Action.SHUT_DOWN),
        (None, _OFF, Action.DESTROY),
        (None, ObservedMachine(running=False), Action.NOTHING),
    ],
)
def test_one_step_follows_from_wish_and_machine(wanted: DesiredMachine | None, actual: ObservedMachine, action: Action) -> None:
    assert next_step(wanted, actual).action is action


def test_a_guest_that_powered_itself_off_is_told_and_not_booted_until_the_api_has_been_read_again() -> None:
    actual = replace(_OFF, stop_cause=StopCause.GUEST_POWEROFF)
    assert next_step(_wanted("running"), actual).action is Action.REPORT_STOPPED
    told = replace(actual, reported_power=Power.OFF)
    assert next_step(_wanted("running"), told).action is Action.NOTHING, "what was read before the telling says nothing"
    assert next_step(_wanted("stopped"), told).action is Action.CLEAR_STOP_CAUSE
    assert next_step(_wanted("running"), replace(told, report_observed=True)).action is Action.CLEAR_STOP_CAUSE, (
        "somebody has started it since"
    )
    assert next_step(_wanted("running"), replace(told, stop_cause=StopCause.API_STOP)).action is Action.BOOT


def test_a_killed_host_boots_after_a_stop_and_start_of_the_api() -> None:
    actual = replace(_OFF, stop_cause=StopCause.KILLED)
    assert next_step(_wanted("stopping"), actual).action is Action.REPORT_STOPPED
    actual = replace(actual, reported_power=Power.OFF)
    assert next_step(_wanted("stopped"), actual).action is Action.CLEAR_STOP_CAUSE
    actual = replace(actual, stop_cause=StopCause.API_STOP)
    assert next_step(_wanted("running"), actual).action is Action.BOOT


def test_volumes_of_a_running_machine_go_before_others_come() -> None:
    actual = replace(_ON, volumes=frozenset({"vol-1", "vol-2"}))
    assert next_step(_wanted("running", "vol-2", "vol-3"), actual) == Step(action=Action.DETACH, volume_id="vol-1")
    actual = replace(actual, volumes=frozenset({"vol-2"}))
    assert next_step(_wanted("running", "vol-2", "vol-3"), actual) == Step(action=Action.ATTACH, volume_id="vol-3")
    actual = replace(actual, volumes=frozenset({"vol-2", "vol-3"}))
    assert next_step(_wanted("running", "vol-2", "vol-3"), actual).action is Action.NOTHING


def test_a_volume_that_the_guest_holds_stays_and_holds_nothing_else_up() -> None:
    actual = replace(_ON, volumes=frozenset({"vol-1"}))
    assert next_step(_wanted("running", leaving="vol-1"), actual) == Step(action=Action.DETACH, volume_id="vol-1")
    actual = replace(actual, busy_volumes=frozenset({"vol-1"}))
    assert next_step(_wanted("running", leaving="vol-1"), actual).action is Action.NOTHING, "the API is not told that it has gone"
    assert next_step(_wanted("running", "vol-2", leaving="vol-1"), actual) == Step(action=Action.ATTACH, volume_id="vol-2")
    assert next_step(_wanted("stopping", leaving="vol-1"), actual).action is Action.SHUT_DOWN


@pytest.mark.parametrize(
    ("state", "actual", "then"),
    [
        ("running", _ON, Action.NOTHING),
        ("running", replace(_OFF, stop_cause=StopCause.KILLED), Action.NOTHING),
        ("running", replace(_OFF, stop_cause=StopCause.REBOOT), Action.BOOT),
        ("stopping", replace(_OFF, stop_cause=StopCause.API_STOP), Action.REPORT_STOPPED),
        ("shutting-down", _OFF, None),
    ],
)
def test_the_api_is_told_once_of_a_leaving_volume_that_the_machine_does_not_have(
    state: str, actual: ObservedMachine, then: Action | None
) -> None:
    wanted = _wanted(state, leaving="vol-1")
    if then is None:
        assert next_step(wanted, actual).action is Action.DESTROY, "the end of the instance takes everything along"
        return
    assert next_step(wanted, actual) == Step(action=Action.REPORT_DETACHED, volume_id="vol-1")
    assert next_step(wanted, replace(actual, reported_detached=frozenset({"vol-1"}))).action is then


def _after(step: Step, actual: ObservedMachine) -> ObservedMachine:
    """What a step that succeeds makes of a machine."""
    match step.action:
        case Action.BOOT:
            return ObservedMachine(running=True, has_root_disk=True)
        case Action.SHUT_DOWN:
            return replace(actual, running=False, stop_cause=StopCause.API_STOP, volumes=frozenset())
        case Action.DESTROY:
            return replace(actual, has_root_disk=False)
        case Action.REPORT_STARTED:
            return replace(actual, reported_power=Power.ON, report_observed=False)
        case Action.REPORT_STOPPED:
            return replace(actual, reported_power=Power.OFF, report_observed=False)
        case Action.REPORT_TERMINATED:
            return replace(actual, reported_power=Power.GONE, report_observed=False)
        case Action.CLEAR_STOP_CAUSE:
            return replace(actual, stop_cause=StopCause.API_STOP)
        case Action.ATTACH:
            return replace(actual, volumes=actual.volumes | {str(step.volume_id)})
        case Action.GROW:
            return replace(actual, volume_sizes={**actual.volume_sizes, str(step.volume_id): 1})
        case Action.DETACH:
            return replace(actual, volumes=actual.volumes - {str(step.volume_id)})
        case Action.REPORT_DETACHED:
            return replace(actual, reported_detached=actual.reported_detached | {str(step.volume_id)})
        case Action.NOTHING:
            return actual


@pytest.mark.parametrize("state", [None, "pending", "running", "stopping", "stopped", "shutting-down", "terminated"])
def test_from_every_situation_the_steps_come_to_an_end(state: str | None) -> None:
    wanted = _wanted(state, "vol-1", leaving="vol-9") if state else None
    situations = itertools.product(
        [True, False], StopCause, [True, False], [frozenset[str](), frozenset({"vol-9"})], [None, *Power], [True, False]
    )
    for running, rest, has_root, volumes, told, heard in situations:
        actual = ObservedMachine(
            running=running, stop_cause=rest, has_root_disk=has_root or running,
            volumes=volumes if running else frozenset(), volume_sizes={"vol-1": 0},
            reported_power=told, report_observed=heard,
        )  # fmt: skip
        for _ in range(10):
            step = next_step(wanted, actual)
            if step.action is Action.NOTHING:
                break
            actual = _after(step, actual)
        else:
            pytest.fail(f"no end of steps for {state} from {actual}")
        if wanted is None or wanted.power is not Power.ON:
            assert not actual.running


def test_a_volume_that_became_larger_grows_after_all_others_have_come_and_gone() -> None:
    wanted = replace(_wanted("running", "vol-1"), volumes=(Volume(volume_id="vol-1", size_gib=14),))
    has = replace(_ON, volumes=frozenset({"vol-1"}), volume_sizes={"vol-1": 10})
    assert next_step(wanted, has) == Step(action=Action.GROW, volume_id="vol-1")
    assert next_step(wanted, replace(has, volume_sizes={"vol-1": 14})).action is Action.NOTHING
    assert next_step(wanted, replace(has, volume_sizes={})).action is Action.NOTHING, "what is not known is not touched"
    assert next_step(wanted, replace(has, volumes=frozenset({"vol-1", "vol-2"}))).action is Action.DETACH
    stopped = replace(_OFF, stop_cause=StopCause.API_STOP, reported_power=Power.OFF)
    assert next_step(replace(wanted, state="stopped"), stopped).action is Action.NOTHING, "it has the new size at its next boot"
