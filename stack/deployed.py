"""What a stack is, as its own last run says, and what of a configuration does not go with that."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from ipaddress import IPv4Network

from stack.firewall import MAX_RULES, max_allowed_cidrs
from stack.problems import Problem
from stack.settings import NAMESPACE, Settings


@dataclass(frozen=True, kw_only=True)
class DeployedStack:
    """What the stack's own state says of it. Nothing of a stack that is not made yet.

    Its id, the zones and the network that it is in, the networks that its load balancers are open to, and its hosts' names.
    """

    stack_id: str | None = None
    zones: tuple[str, ...] = ()
    vpc_cidr: str | None = None
    allowed_cidrs: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()


def change_problems(settings: Settings, invalid_keys: Set[str], deployed: DeployedStack) -> Iterator[Problem]:
    """What would move the stack, or end its `up` half-way. Keys in `invalid_keys` are refused already."""
    key, cidr = f"{NAMESPACE}:network.cidr", settings.network.cidr
    # A VPC keeps its addresses: `cidr_block` is ForceNew in terraform-provider-aws, internal/service/ec2/vpc_.go.
    if deployed.vpc_cidr and key not in invalid_keys and IPv4Network(cidr) != IPv4Network(deployed.vpc_cidr):
        yield Problem(
            key=key,
            value=cidr,
            rule=f"the network that the stack is in, {deployed.vpc_cidr}: another one would replace every host at once",
            remedy="leave it as it was; for another network, create a new stack and copy the data there",
        )
    key, allowed = f"{NAMESPACE}:loadBalancer.allowedCidrs", settings.load_balancer.allowed_cidrs
    if key not in invalid_keys and not any(one.startswith(f"{key}[") for one in invalid_keys):
        yield from _allowed_cidrs_problems(key, allowed, deployed.allowed_cidrs)


def _allowed_cidrs_problems(key: str, new: Sequence[str], old: Sequence[str]) -> Iterator[Problem]:
    """New rules are made before old ones go, so that nobody who stays allowed is shut out: for a while a group has both."""
    room, together = max_allowed_cidrs(), {*old, *new}
    if len(together) <= room:
        return
    yield Problem(
        key=key,
        value=f"{len(new)} networks",
        rule=f"at most {room} networks together with those that the stack allows now: that would be {len(together)}, as new rules "
        f"come before old ones go, and a security group takes {MAX_RULES} in a direction",
        remedy=f"change it by several `up`: first with {', then with '.join(step for _, step in transition_steps(old, new, room))}",
    )


def transition_steps(old: Sequence[str], new: Sequence[str], limit: int) -> list[tuple[tuple[str, ...], str]]:
    """Lists to be applied one after the other, each with its words: of two that follow each other at most `limit` are different.

    Who is in both lists is in all of them, and nobody comes in who is in neither.
    """
    whole = (tuple(new), "the whole list")
    stay = [one for one in new if one in old]
    come = [one for one in new if one not in old][: max(0, limit - len(old))]
    if stay or come:
        words = [f"the {len(stay)} that {_pluralize(stay, 'stay')}"] * bool(stay) + [f"{len(come)} of those that come"] * bool(come)
        return [((*stay, *come), " and ".join(words)), whole]
    kept = tuple(old[: max(1, limit - len(new))])
    shorter = (kept, f"{len(kept)} of those that are allowed now")
    if len(kept) + len(new) <= limit:
        return [shorter, whole]
    fewer = tuple(new[: limit - len(kept)])
    return [shorter, (fewer, f"{len(fewer)} of the new ones alone"), whole]


def _pluralize(items: Sequence[str], plural: str) -> str:
    return f"{plural}s" if len(items) == 1 else plural
