"""Power states. moto shows `running`, `stopped` and `terminated` at once; on AWS it takes until the machine has reached the state.

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
    """With `machines`, an instance stays `pending`, `stopping` or `shutting-down` until its machine's new state is reported."""
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
    """Records that the machine is on. Returns the instance's new state. Raises KeyError if it is unknown."""
    instance = _find(instance_id)
    if instance.state == "pending":
        _set_state(instance, "running")
    return str(instance.state)


def machine_stopped(instance_id: str) -> str:
    """Records that the machine is off, its root disk kept. Returns the instance's new state. Raises KeyError if it is unknown.

    If a `running` machine powered itself off, its `InstanceInitiatedShutdownBehavior` applies.
    """
    instance = _find(instance_id)
    if instance.state in {"pending", "running"}:
        _set_state(instance, "stopping" if instance.instance_initiated_shutdown_behavior == "stop" else "shutting-down")
    if instance.state == "stopping":
        _finish_transition(instance)
    return str(instance.state)


def machine_terminated(instance_id: str) -> str:
    """Records that the machine and its root disk are removed. Returns the instance's new state. Raises KeyError if it is unknown."""
    instance = _find(instance_id)
    if instance.state == "shutting-down":
        _finish_transition(instance)
    return str(instance.state)


def regions_in_use() -> list[str]:
    """Returns the regions with an instance or a non-default VPC: moto makes a region's default VPC on first access."""
    return sorted({backend.region_name for backend in backends() if backend.reservations or len(backend.vpcs) > 1})


def _start_stopped(instance: Any) -> None:
    if instance.state != "stopped":
        raise _incorrect_state(instance, "started")
    _start(instance)
    # AWS shows the time of the last start, in whole seconds; moto keeps the first.
    instance.launch_time = datetime.datetime.now(datetime.UTC).replace(microsecond=0, tzinfo=None)


def _reboot_running(instance: Any) -> None:
    if instance.state != "running":
        raise _incorrect_state(instance, "rebooted")
    _reboot(instance)


def _finish_transition(instance: Any) -> None:
    if instance.state == "stopping":
        _stop(instance)  # releases an automatic public address
        return
    # AWS ends an Elastic IP's association when its interface is deleted; moto leaves it dangling.
    backend = instance.ec2_backend
    nics = list(instance.nics.values())
    for address in list(backend.addresses):
        if any(address.eni is nic for nic in nics):
            backend.disassociate_address(association_id=address.association_id)
    _terminate(instance)  # deletes the instance's interfaces and volumes with DeleteOnTermination, and frees the addresses
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
    """Yields EC2's backends of all accounts and regions."""
    for account in list(ec2_backends.values()):
        yield from list(account.values())
