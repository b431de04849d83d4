"""Moves the Elastic IP to keepalived's MASTER, with a single AssociateAddress and never a DisassociateAddress first.

keepalived's notify script only writes a file. This process reacts to it at once and checks again every few seconds, because a notification
or a call can be lost. Only the MASTER calls the API.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from webstack_host import aws, config, imds

from load_balancer_role.variables import LoadBalancerVariables

STATE = Path("/run/webstack/vrrp-state")
POLL_INTERVAL = 0.2
"""Seconds between two reads of the state file."""
RECONCILE_INTERVAL = 15.0
"""Seconds after which the MASTER checks again with the API that it has the address."""


def main() -> None:
    """Runs forever."""
    variables = config.load(LoadBalancerVariables)
    reconcile_loop(lambda: associate(variables.elastic_ip_allocation_id), clock=time.monotonic, sleep=time.sleep)


def reconcile_loop(
    reconcile: Callable[[], object], *, clock: Callable[[], float], sleep: Callable[[float], object], rounds: int | None = None
) -> None:
    """Calls `act` when this host becomes MASTER and every RECONCILE seconds while it is; soon again after an error."""
    due = clock()
    was_master = False
    while rounds is None or rounds > 0:
        rounds = None if rounds is None else rounds - 1
        master = is_master()
        if master and (not was_master or clock() >= due):
            try:
                reconcile()
                due = clock() + RECONCILE_INTERVAL
            except Exception as error:
                print(f"webstack-elastic-ip: {error}", file=sys.stderr, flush=True)
                due = clock() + 1
        was_master = master
        sleep(POLL_INTERVAL)


def is_master() -> bool:
    """Whether keepalived's last state is MASTER."""
    try:
        return STATE.read_text().strip() == "MASTER"
    except FileNotFoundError:
        return False


def own_id() -> str:
    """This instance's id."""
    return imds.instance_id()


def current_holder(allocation_id: str) -> str:
    """Returns the id of the instance that has the address; empty if none has."""
    addresses = aws.ec2().describe_addresses(AllocationIds=[allocation_id])["Addresses"]
    return next(iter(address.get("InstanceId", "") for address in addresses), "")


def associate(allocation_id: str) -> bool:
    """Associates the address with this instance unless it already is. Returns whether it was moved."""
    if current_holder(allocation_id) == own_id():
        return False
    aws.ec2().associate_address(AllocationId=allocation_id, InstanceId=own_id(), AllowReassociation=True)
    print(f"webstack-elastic-ip: {allocation_id} is associated with {own_id()}", flush=True)
    return True
