"""Faults of the network: a zone cut off, and what may ail the way between two places."""

import re
from abc import ABC
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from lab.hypervisor.faults.fault import Fault, FaultError, LabSnapshot

INTERNET = "internet"
"""As an end: all that is outside the VPC but AWS's own API, seen from the hosts. In the lab that is this machine."""

AWS = "aws"
"""As an end: AWS's API and S3. Not the metadata service and the resolver, which a host finds at its own side of every way."""

_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(|k|m|g)bit")
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_MIN_RATE, _MAX_RATE = 8_000, 10_000_000_000
_MAX_DELAY_MS = 60_000


class ZonePartition(Fault):
    """A zone cut off from all the rest: other zones, the internet, AWS's API. Within it all goes on, metadata and resolver too.

    A NAT gateway in it is cut off with it, so hosts of other zones that leave by that have no way out.
    """

    kind: Literal["zone"] = "zone"
    zone: str

    def summary(self) -> str:
        return f"zone {self.zone} is cut off from the rest"

    def check(self, snapshot: LabSnapshot) -> None:
        if self.zone not in snapshot.zones:
            raise FaultError(
                f"zone {self.zone!r}: no host of this lab is in it; give one of {', '.join(snapshot.zones) or 'none: it is empty'}"
            )

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        return [] if self.zone in snapshot.zones else [f"zone {self.zone} has no host now"]


class PairFault(Fault, ABC):
    """Something between two ends: hosts (by name or instance id), `internet`, or `aws`."""

    special_endpoints: ClassVar[tuple[str, ...]] = (INTERNET, AWS)
    """What may stand in a host's place."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    both_ways: bool = False
    """Whether packets from `target` to `source` suffer too."""

    @model_validator(mode="after")
    def _validate_endpoints(self) -> Self:
        for end in (self.source, self.target):
            if end in (INTERNET, AWS) and end not in self.special_endpoints:
                raise ValueError(
                    f"{end!r} cannot be an end of this fault: it takes hosts{''.join(f' and {name!r}' for name in self.special_endpoints)}"
                )
        if self.source == self.target:
            raise ValueError(f"from {self.source!r} to {self.target!r}: a host's packets to itself never leave it; give two different ends")
        if {self.source, self.target} == {INTERNET, AWS}:
            raise ValueError(f"from {self.source!r} to {self.target!r}: no host of the lab is concerned; give one")
        return self

    def directions(self) -> Iterator[tuple[str, str]]:
        """The ways that suffer: source and target."""
        yield self.source, self.target
        if self.both_ways:
            yield self.target, self.source

    def path_label(self) -> str:
        """Which packets, in words."""
        return f"between {self.source} and {self.target}" if self.both_ways else f"from {self.source} to {self.target}"

    def check(self, snapshot: LabSnapshot) -> None:
        found = [
            {machine.instance_id for machine in snapshot.require_host(end, *self.special_endpoints)}
            for end in (self.source, self.target)
            if end not in self.special_endpoints
        ]
        if len(found) == 2 and found[0] == found[1]:
            raise FaultError(f"from {self.source!r} to {self.target!r}: both name the same host; give two different ones")

    def inactive_reasons(self, snapshot: LabSnapshot) -> list[str]:
        return [
            f"there is no host {end} now"
            for end in (self.source, self.target)
            if end not in self.special_endpoints and not snapshot.hosts(end)
        ]


class Drop(PairFault):
    """Packets vanish without an answer."""

    kind: Literal["drop"] = "drop"

    def summary(self) -> str:
        return f"every packet {self.path_label()} is dropped"


class Loss(PairFault):
    """Some packets vanish, each by chance."""

    kind: Literal["loss"] = "loss"
    percent: float
    both_ways: bool = True

    @field_validator("percent", mode="before")
    @classmethod
    def _percentage(cls, given: object) -> float:
        percent = _number(given, suffix="%")
        if percent is None or not 0.01 <= percent <= 100:
            raise ValueError(f"loss {given!r}: a percentage from 0.01 to 100, such as 30")
        return percent

    def summary(self) -> str:
        return f"{self.percent:g} % of the packets {self.path_label()} are lost"


class Bandwidth(PairFault):
    """No more than so many bits pass in a second; some 200 ms of them wait, what is beyond that is dropped."""

    kind: Literal["bandwidth"] = "bandwidth"
    special_endpoints: ClassVar[tuple[str, ...]] = (INTERNET,)
    rate: str
    both_ways: bool = True

    @field_validator("rate")
    @classmethod
    def _speed(cls, given: str) -> str:
        form = _RATE.fullmatch(given.strip().lower())
        if form is None or not _MIN_RATE <= _parse_bits(form) <= _MAX_RATE:
            raise ValueError(f"rate {given!r}: bits in a second from 8kbit to 10gbit, such as 500kbit, 1mbit or 2.5gbit")
        return form[0]

    @property
    def bits(self) -> int:
        """Bits in a second."""
        form = _RATE.fullmatch(self.rate)
        return _parse_bits(form) if form else 0

    def summary(self) -> str:
        return f"no more than {self.rate} a second pass{'' if self.both_ways else 'es'} {self.path_label()}"


class Delay(PairFault):
    """Each packet arrives later."""

    kind: Literal["delay"] = "delay"
    special_endpoints: ClassVar[tuple[str, ...]] = (INTERNET,)
    milliseconds: float
    both_ways: bool = True

    @field_validator("milliseconds", mode="before")
    @classmethod
    def _duration(cls, given: object) -> float:
        milliseconds = _number(given, suffix="ms")
        if milliseconds is None or not 0.1 <= milliseconds <= _MAX_DELAY_MS:
            raise ValueError(f"delay {given!r}: milliseconds from 0.1 to {_MAX_DELAY_MS}, such as 50")
        return milliseconds

    def summary(self) -> str:
        return f"each packet {self.path_label()} is {self.milliseconds:g} ms late"


def _number(given: object, *, suffix: str) -> float | None:
    try:
        return float(str(given).strip().removesuffix(suffix))
    except ValueError:
        return None


def _parse_bits(form: re.Match[str]) -> int:
    return int(float(form[1]) * _FACTORS[form[2]])
