"""Power states. moto shows `running`, `stopped` and `terminated` at once; on AWS each takes as long as the machine takes.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
"""

import copy
import datetime
from collections.abc import Iterator
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance, InstanceBackend

from lab.cloud.emulator.patching import ec2_error, original, replace

_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

_start = original(Instance, "start")
_stop = original(Instance, "stop")
_terminate = original(Instance, "terminate")
_reboot = original(Instance, "reboot")


def install(*, machines: bool) -> None:
    """With `machines`, an instance stays `pending`, `stopping` or `shutting-down` until its machine is reported to be so far."""
    run_instances = original(InstanceBackend, "run_instances")

    def run(*args: Any, **kwargs: Any) -> Any:
        reservation = run_instances(*args, **kwargs)
        for instance in reservation.instances:
            _set_state(instance, "pending")
        return reservation

    def start(instance: Any) -> Any:
        before = copy.copy(instance.instance_state)
        if before.name not in {"pending", "running"}:
            _start_stopped(instance)
            if machines:
                _set_state(instance, "pending")
        return before

    def stop(instance: Any) -> Any:
        before = copy.copy(instance.instance_state)
        if before.name == "running":
            _set_state(instance, "stopping")
            if not machines:
                _finish_transition(instance)
        elif before.name not in {"stopping", "stopped"}:
            raise _incorrect_state(instance, "stopped")
        return before

    def terminate(instance: Any) -> Any:
        before = copy.copy(instance.instance_state)
        if before.name not in {"shutting-down", "terminated"}:
            _set_state(instance, "shutting-down")
            if not machines:
                _finish_transition(instance)
        return before

    if machines:
        replace(InstanceBackend, "run_instances", run)
    replace(Instance, "start", start)
    replace(Instance, "stop", stop)
    replace(Instance, "terminate", terminate)
    replace(Instance, "reboot", _reboot_running)


def machine_started(instance_id: str) -> str:
    """The machine is switched on. Returns the state that the instance is in now; raises KeyError for an unknown one."""
    instance = _find(instance_id)
    if instance.state == "pending":
        _set_state(instance, "running")
    return str(instance.state)


def machine_stopped(instance_id: str) -> str:
    """The machine is off and its root disk kept. Returns the state that the instance is in now; raises KeyError for an unknown one.

    A machine that powered itself off while `running` goes by its `InstanceInitiatedShutdownBehavior`.
    """
    instance = _find(instance_id)
    if instance.state in {"pending", "running"}:
        _set_state(instance, "stopping" if instance.instance_initiated_shutdown_behavior == "stop" else "shutting-down")
    if instance.state == "stopping":
        _finish_transition(instance)
    return str(instance.state)


def machine_terminated(instance_id: str) -> str:
    """The machine is gone with its root disk. Returns the state that the instance is in now; raises KeyError for an unknown one."""
    instance = _find(instance_id)
    if instance.state == "shutting-down":
        _finish_transition(instance)
    return str(instance.state)


def regions_in_use() -> list[str]:
    """The regions with an instance or a VPC of somebody's own: moto makes a region's default VPC when the region is first looked at."""
    return sorted({backend.region_name for backend in backends() if backend.reservations or len(backend.vpcs) > 1})


def _start_stopped(instance: Any) -> None:
    if instance.state != "stopped":
        raise _incorrect_state(instance, "started")
    _start(instance)
    # AWS: the time of the last launch, in whole seconds; moto keeps the first.
    instance.launch_time = datetime.datetime.now(datetime.UTC).replace(microsecond=0, tzinfo=None)


def _reboot_running(instance: Any) -> None:
    if instance.state != "running":
        raise _incorrect_state(instance, "rebooted")
    _reboot(instance)


def _finish_transition(instance: Any) -> None:
    if instance.state == "stopping":
        _stop(instance)  # gives back an automatic public address
        return
    # AWS ends an Elastic IP's association with its interface; moto leaves it pointing at nothing.
    backend = instance.ec2_backend
    nics = list(instance.nics.values())
    for address in list(backend.addresses):
        if any(address.eni is nic for nic in nics):
            backend.disassociate_address(association_id=address.association_id)
    _terminate(instance)  # deletes interfaces and volumes that go with the instance, frees their addresses
    for nic in nics:
        if not nic.delete_on_termination:
            instance.detach_eni(nic)


def _set_state(instance: Any, name: str) -> None:
    instance.instance_state.name = name
    instance.instance_state.code = _CODES[name]


def _incorrect_state(instance: Any, done: str) -> Exception:
    return ec2_error("IncorrectInstanceState", f"The instance '{instance.id}' is not in a state from which it can be {done}.")


def _find(instance_id: str) -> Any:
    for backend in backends():
        instance = backend.get_instance_by_id(instance_id)
        if instance is not None:
            return instance
    raise KeyError(instance_id)


def backends() -> Iterator[Any]:
    """EC2's backends, of every account and region."""
    for account in list(ec2_backends.values()):
        yield from list(account.values())
