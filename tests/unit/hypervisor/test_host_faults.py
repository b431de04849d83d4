"""Descriptions of faults of hosts and of the API: what is taken, what is refused and in which words, what they say of themselves."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from lab.call_effects import CallEffect, CallFault
from lab.hypervisor.desired import DesiredMachine, Volume
from lab.hypervisor.faults.api_fault import ApiFaultInjector
from lab.hypervisor.faults.catalog import parse, serialize
from lab.hypervisor.faults.fault import FaultError, LabSnapshot
from lab.hypervisor.faults.kinds.freeze import Freeze
from lab.hypervisor.faults.kinds.slow_disk import SlowDisk
from lab.hypervisor.io_throttle import IoLimits
from lab.hypervisor.machine import Machine
from lab.names import LabNames
from lab.processes import write_pid_file

_DB = DesiredMachine(
    instance_id="i-0a",
    region="eu-central-1",
    state="running",
    name="db-1",
    role="database",
    zone="eu-central-1a",
    image_id="ami-1",
    address=IPv4Interface("10.0.0.1/24"),
    volumes=(Volume(volume_id="vol-0a", size_gib=1),),
)
_WEB = replace(_DB, instance_id="i-0b", name="web-1", volumes=())


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabSnapshot:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    names = LabNames.of("x")
    for machine in (_DB, _WEB):
        names.machine_dir(machine.instance_id).mkdir(parents=True)
    return LabSnapshot(names=names, machines={machine.instance_id: machine for machine in (_DB, _WEB)})


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"kind": "freeze", "host": "db-1"}, "db-1 is frozen"),
        ({"kind": "fill-disk", "host": "db-1"}, "the data volume of db-1 is full"),
        ({"kind": "fill-disk", "host": "db-1", "volume": "root"}, "the root disk of db-1 is full"),
        ({"kind": "fill-disk", "host": "db-1", "volume": "vol-0a"}, "volume vol-0a of db-1 is full"),
        ({"kind": "slow-disk", "host": "db-1", "write": "1.5MB/s"}, "the data volume of db-1 writes no more than 1.5 MB/s"),
        (
            {"kind": "slow-disk", "host": "db-1", "volume": "root", "read": "64KiB/s", "write_iops": 10},
            "the root disk of db-1 reads no more than 65.536 kB/s and writes no more than 10 requests a second",
        ),
        ({"kind": "api-throttle", "percent": 50}, "the AWS API throttles 50 % of all calls"),
        ({"kind": "api-throttle", "rate": 2, "service": "ec2"}, "the AWS API of ec2 throttles what exceeds 2 calls a second"),
        ({"kind": "api-slow", "milliseconds": 300}, "the AWS API answers 300 ms late"),
        ({"kind": "api-down", "service": "s3"}, "the AWS API of s3 is down"),
    ],
)
def test_a_fault_says_in_words_what_goes_wrong_and_is_known_again(description: Mapping[str, Any], words: str) -> None:
    fault = parse(description)
    assert fault.summary() == words
    assert parse(serialize(fault)) == fault


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ({"kind": "fill-disk", "host": "db-1", "volume": "sda"}, "volume 'sda': give `root`, `data`"),
        ({"kind": "slow-disk", "host": "db-1"}, "slow-disk: no limit given; give at least one of --write"),
        ({"kind": "slow-disk", "host": "db-1", "write": "fast"}, "speed 'fast': give bytes per second from 4KiB/s to 10GB/s"),
        ({"kind": "slow-disk", "host": "db-1", "write": "1kB/s"}, "speed '1kB/s': give bytes per second"),
        ({"kind": "slow-disk", "host": "db-1", "write_iops": 0}, "iops 0: give requests per second from 1"),
        ({"kind": "api-throttle"}, "give either --percent"),
        ({"kind": "api-throttle", "percent": 10, "rate": 1}, "give either --percent"),
        ({"kind": "api-throttle", "percent": 0}, "percent 0: give the percentage of calls"),
        ({"kind": "api-throttle", "rate": 0}, "rate 0: give the calls per second"),
        ({"kind": "api-slow", "milliseconds": 0}, "delay 0: give milliseconds from 1"),
        ({"kind": "api-down", "service": "fax"}, "service 'fax': give one of cloudwatch"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_rule(description: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(FaultError, match=reason):
        parse(description)


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ({"kind": "freeze", "host": "db-9"}, "host 'db-9': this lab has no such host; give one of db-1, web-1"),
        ({"kind": "freeze", "host": "db-1"}, "db-1 is not running, and only a running host can be frozen"),
        ({"kind": "fill-disk", "host": "web-1"}, "volume 'data': web-1 has no such disk; give --volume with one of root"),
        ({"kind": "slow-disk", "host": "db-1", "volume": "vol-0b", "read": "1MB/s"}, "db-1 has no such disk; .* root, vol-0a"),
    ],
)
def test_what_the_lab_has_not_is_refused_with_what_it_has(scene: LabSnapshot, description: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(FaultError, match=reason):
        parse(description).check(scene)


def test_a_freeze_is_of_the_run_that_it_was_given_to(scene: LabSnapshot) -> None:
    machine = Machine(names=scene.names, instance_id="i-0a")
    booted = machine.folder / "booted"
    booted.touch()
    os.utime(booted, (1000, 1000))
    freeze = Freeze(host="db-1", injected_at=2000)
    assert not freeze.applies_to(machine), "it does not run"
    write_pid_file(machine.folder / "supervisor.pid", os.getpid())
    assert freeze.applies_to(machine)
    assert freeze.inactive_reasons(scene) == []
    os.utime(booted, (3000, 3000))
    assert not freeze.applies_to(machine)
    assert freeze.inactive_reasons(scene) == ["db-1 has been off since, and a new run is not frozen"]
    fresh = parse({"kind": "freeze", "host": "db-1"})
    assert isinstance(fresh, Freeze)
    assert abs(fresh.injected_at - time.time()) < 5


def test_speeds_are_bytes_with_decimal_and_binary_prefixes() -> None:
    fault = parse({"kind": "slow-disk", "host": "db-1", "write": "2MiB/s", "read": "2mb"})
    assert isinstance(fault, SlowDisk)
    assert fault.limits == IoLimits(write_bps=2 * 2**20, read_bps=2_000_000)


def test_the_gateway_is_given_the_faults_of_the_api_alone(scene: LabSnapshot) -> None:
    given: list[CallFault] = []
    injector = ApiFaultInjector(given.extend)
    of_the_api = [
        parse({"kind": "api-throttle", "percent": 25, "service": "ec2"}),
        parse({"kind": "api-throttle", "rate": 3}),
        parse({"kind": "api-slow", "milliseconds": 250}),
        parse({"kind": "api-down", "service": "s3"}),
    ]
    injector.apply([parse({"kind": "freeze", "host": "db-1"}), *of_the_api], scene)
    assert given == of_the_api
    effects = [fault.make_evaluator(clock=lambda: 0.0, rng=lambda: 0.24)("ec2") for fault in given]
    assert effects == [CallEffect(throttled=True), CallEffect(), CallEffect(delay=0.25), CallEffect(drop_connection=True)]
    assert [fault.affects("s3") for fault in given] == [False, True, True, True]
