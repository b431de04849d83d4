"""Faults of the network: a partitioned zone, and faults of the path between two ends."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import field_validator

from lab.hypervisor.faults.command_line import NETWORK, Parameter
from lab.hypervisor.faults.fault import FaultError, LabSnapshot
from lab.hypervisor.faults.packet_drops import DropRule, PacketDropFault, loses_nat_gateway, pair_drop_rules, partition_rules
from lab.hypervisor.faults.paths import AWS, INTERNET, OneWay, PairFault
from lab.hypervisor.faults.traffic_shaping import LinkShaping, ShapedPathFault

_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(|k|m|g)bit")
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_MIN_RATE, _MAX_RATE = 8_000, 10_000_000_000
_MAX_DELAY_MS = 60_000


class ZonePartition(PacketDropFault):
    """Cut a zone off: nothing passes between its hosts and other zones, the internet, or AWS's API and S3.

    Its hosts still reach each other, the metadata service and the resolver, which exist in every zone. Packets are lost without an error,
    also those of open connections.
    """

    # A NAT gateway in it is cut off too, so hosts of other zones that use it lose their route to the internet.
    command_group = NETWORK
    kind: Literal["zone"] = "zone"
    zone: Annotated[str, Parameter(metavar="ZONE", help="An availability zone, such as eu-central-1a.")]

    def summary(self) -> str:
        return f"zone {self.zone} is cut off from the rest"

    def check(self, snapshot: LabSnapshot) -> None:
        if self.zone not in snapshot.zones:
            raise FaultError(
                f"zone {self.zone!r}: no host of this lab is in it; give one of {', '.join(snapshot.zones) or 'none: it is empty'}"
            )

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        return [] if self.zone in snapshot.zones else [f"zone {self.zone} has no host now"]

    def drop_rules(self, snapshot: LabSnapshot) -> Iterator[DropRule]:
        return partition_rules(self.zone, snapshot)

    def affects_path(self, snapshot: LabSnapshot, source: str, target: str) -> bool:
        ends = [snapshot.machines.get(end) for end in (source, target)]
        inside = [machine is not None and machine.zone == self.zone for machine in ends]
        outwards = source in (INTERNET, AWS) or target in (INTERNET, AWS)
        return inside[0] != inside[1] or (outwards and any(machine and loses_nat_gateway(machine, self.zone) for machine in ends))


class Drop(PairFault, PacketDropFault):
    """Drop every packet from one host to another. Replies to the other's packets are dropped too.

    An end may also be `aws`, AWS's API and S3.
    """

    kind: Literal["drop"] = "drop"
    both_ways: Annotated[bool, Parameter(option="--both-ways", help="Also drop packets from TO to FROM.")] = False

    def summary(self) -> str:
        return f"every packet {self.path_label()} is dropped"

    def drop_rules(self, snapshot: LabSnapshot) -> Iterator[DropRule]:
        return pair_drop_rules(self, snapshot)


class Loss(PairFault, PacketDropFault):
    """Lose packets between two hosts, both ways unless --one-way. An end may also be `aws`, AWS's API and S3.

    A large TCP segment (up to 64 KB) that a host passes on in one piece is lost as a whole.
    """

    kind: Literal["loss"] = "loss"
    percent: Annotated[float, Parameter(metavar="PERCENT", as_text=True, help="The percentage of packets to lose, at random: 0.01 to 100.")]
    both_ways: OneWay = True

    @field_validator("percent", mode="before")
    @classmethod
    def _percentage(cls, given: object) -> float:
        percent = _number(given, suffix="%")
        if percent is None or not 0.01 <= percent <= 100:
            raise ValueError(f"loss {given!r}: give a percentage from 0.01 to 100, such as 30")
        return percent

    def summary(self) -> str:
        return f"{self.percent:g} % of the packets {self.path_label()} are lost"

    def drop_rules(self, snapshot: LabSnapshot) -> Iterator[DropRule]:
        return pair_drop_rules(self, snapshot, f"numgen random mod 10000 < {round(self.percent * 100)}")


class Bandwidth(ShapedPathFault):
    """Limit the bandwidth between two hosts, for each direction separately, or only from FROM to TO with --one-way.

    Packets sent faster are queued for up to about 200 ms; when the queue is full they are dropped. Of several such faults the lowest limit
    applies.
    """

    kind: Literal["bandwidth"] = "bandwidth"
    rate: Annotated[str, Parameter(metavar="RATE", help="Bits per second: 500kbit, 1mbit, 2.5gbit; from 8kbit to 10gbit.")]
    both_ways: OneWay = True

    @field_validator("rate")
    @classmethod
    def _speed(cls, given: str) -> str:
        form = _RATE.fullmatch(given.strip().lower())
        if form is None or not _MIN_RATE <= _parse_bits(form) <= _MAX_RATE:
            raise ValueError(f"rate {given!r}: give bits per second from 8kbit to 10gbit, such as 500kbit, 1mbit or 2.5gbit")
        return form[0]

    @property
    def bits_per_second(self) -> int:
        """The limit in bits per second."""
        form = _RATE.fullmatch(self.rate)
        return _parse_bits(form) if form else 0

    def summary(self) -> str:
        return f"no more than {self.rate} a second pass{'' if self.both_ways else 'es'} {self.path_label()}"

    def shape(self, link: LinkShaping) -> LinkShaping:
        return replace(link, bits_per_second=min(self.bits_per_second, link.bits_per_second or self.bits_per_second))


class Delay(ShapedPathFault):
    """Delay packets between two hosts: a round trip takes twice MILLISECONDS longer, or once with --one-way. Several such faults add up.

    Needs a kernel with netem (the module sch_netem) and fails without it.
    """

    kind: Literal["delay"] = "delay"
    milliseconds: Annotated[
        float, Parameter(metavar="MILLISECONDS", as_text=True, help="How much later each packet arrives: 0.1 to 60000.")
    ]
    both_ways: OneWay = True

    @field_validator("milliseconds", mode="before")
    @classmethod
    def _duration(cls, given: object) -> float:
        milliseconds = _number(given, suffix="ms")
        if milliseconds is None or not 0.1 <= milliseconds <= _MAX_DELAY_MS:
            raise ValueError(f"delay {given!r}: give milliseconds from 0.1 to {_MAX_DELAY_MS}, such as 50")
        return milliseconds

    def summary(self) -> str:
        return f"each packet {self.path_label()} is {self.milliseconds:g} ms late"

    def shape(self, link: LinkShaping) -> LinkShaping:
        return replace(link, delay_ms=link.delay_ms + self.milliseconds)


def _number(given: object, *, suffix: str) -> float | None:
    try:
        return float(str(given).strip().removesuffix(suffix))
    except ValueError:
        return None


def _parse_bits(form: re.Match[str]) -> int:
    return int(float(form[1]) * _FACTORS[form[2]])
