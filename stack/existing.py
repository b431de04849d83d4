"""What a stack is, as its own last run says, and what of a configuration does not go with that."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from ipaddress import IPv4Network

from stack.firewall import MOST_RULES, room_for_networks
from stack.problems import Problem
from stack.settings import NAMESPACE, Settings


@dataclass(frozen=True, kw_only=True)
class Existing:
    """What the stack's own state says of it. Nothing of a stack that is not made yet.

    Its id, the zones and the network that it is in, the networks that its load balancers are open to, and its hosts' names.
    """

    stack_id: str | None = None
    zones: tuple[str, ...] = ()
    network: str | None = None
    allowed: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()


def existing_problems(settings: Settings, wrong: Set[str], existing: Existing) -> Iterator[Problem]:
    """What would move the stack, or end its `up` half-way. Keys in `wrong` are refused already."""
    key, cidr = f"{NAMESPACE}:network.cidr", settings.network.cidr
    # A VPC keeps its addresses: `cidr_block` is ForceNew in terraform-provider-aws, internal/service/ec2/vpc_.go.
    if existing.network and key not in wrong and IPv4Network(cidr) != IPv4Network(existing.network):
        yield Problem(
            key=key,
            value=cidr,
            rule=f"the network that the stack is in, {existing.network}: another one would replace every host at once",
            remedy="leave it as it was; another network is a new stack, and the data goes there by a copy",
        )
    key, allowed = f"{NAMESPACE}:loadBalancer.allowedCidrs", settings.load_balancer.allowed_cidrs
    if key not in wrong and not any(one.startswith(f"{key}[") for one in wrong):
        yield from _allowed_problems(key, allowed, existing.allowed)


def _allowed_problems(key: str, new: Sequence[str], old: Sequence[str]) -> Iterator[Problem]:
    """New rules are made before old ones go, so that nobody who stays allowed is shut out: for a while a group has both."""
    room, together = room_for_networks(), {*old, *new}
    if len(together) <= room:
        return
    yield Problem(
        key=key,
        value=f"{len(new)} networks",
        rule=f"at most {room} networks together with those that the stack allows until now: that would be {len(together)}, as new rules "
        f"come before old ones go, and a security group takes {MOST_RULES} in a direction",
        remedy=f"change it by several `up`: first with {', then with '.join(told for _, told in steps_to(old, new, room))}",
    )


def steps_to(old: Sequence[str], new: Sequence[str], room: int) -> list[tuple[tuple[str, ...], str]]:
    """Lists to be applied one after the other, each with its words: of two that follow each other at most `room` are different.

    Who is in both lists is in all of them, and nobody comes in who is in neither.
    """
    whole = (tuple(new), "the whole list")
    stay = [one for one in new if one in old]
    come = [one for one in new if one not in old][: max(0, room - len(old))]
    if stay or come:
        words = [f"the {len(stay)} that {_verb(stay, 'stay')}"] * bool(stay) + [f"{len(come)} of those that come"] * bool(come)
        return [((*stay, *come), " and ".join(words)), whole]
    kept = tuple(old[: max(1, room - len(new))])
    shorter = (kept, f"{len(kept)} of those that are allowed now")
    if len(kept) + len(new) <= room:
        return [shorter, whole]
    fewer = tuple(new[: room - len(kept)])
    return [shorter, (fewer, f"{len(fewer)} of the new ones alone"), whole]


def _verb(things: Sequence[str], plural: str) -> str:
    return f"{plural}s" if len(things) == 1 else plural
