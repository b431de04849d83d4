"""Tests of the lab share the machine: side by side, or one alone, and nobody waits for ever."""

import threading
from dataclasses import fields, replace
from pathlib import Path

from tests.lab.machine_lock import machine_lock
from tests.lab.node_snapshot import LAB_NAME, NodeSnapshot, leftovers, names_any_lab


def held(folder: Path, *, alone: bool, entered: threading.Event, leave: threading.Event) -> threading.Thread:
    def hold() -> None:
        with machine_lock(exclusive=alone, folder=folder):
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    return thread


def test_two_that_do_not_mind_run_side_by_side(tmp_path: Path) -> None:
    entered, leave = [threading.Event(), threading.Event()], threading.Event()
    threads = [held(tmp_path, alone=False, entered=one, leave=leave) for one in entered]
    assert all(one.wait(60) for one in entered)
    leave.set()
    for thread in threads:
        thread.join(60)


def test_one_that_wants_to_be_alone_waits_and_is_not_passed_by(tmp_path: Path) -> None:
    first, alone, later = threading.Event(), threading.Event(), threading.Event()
    first_leaves, alone_leaves = threading.Event(), threading.Event()
    threads = [held(tmp_path, alone=False, entered=first, leave=first_leaves)]
    assert first.wait(60)
    threads.append(held(tmp_path, alone=True, entered=alone, leave=alone_leaves))
    assert not alone.wait(0.2), "the first is still there"
    threads.append(held(tmp_path, alone=False, entered=later, leave=alone_leaves))
    assert not later.wait(0.2), "who wants to be alone was here before"
    first_leaves.set()
    assert alone.wait(60)
    assert not later.is_set()
    alone_leaves.set()
    assert later.wait(60)
    for thread in threads:
        thread.join(60)


EMPTY = NodeSnapshot(**{field.name: frozenset[str]() for field in fields(NodeSnapshot)})
OWN_AND_MACHINE = {"sysctls": frozenset({"fs.inotify.max_user_instances = 128"}), "network_namespaces": frozenset({"wsl-test-gw1.router"})}


def is_test(lab: str) -> bool:
    return lab.startswith("test")


def test_a_line_of_the_machine_belongs_to_the_lab_that_it_names() -> None:
    assert LAB_NAME.findall("wsl-test-gw1.router") == ["test-gw1"]
    assert LAB_NAME.findall("/dev/loop3 /var/lib/webstack/labs/dev/volumes/vol-1.img") == ["dev"]
    assert LAB_NAME.findall("12 python -m lab.daemon --shutdown-timeout=15 struck") == ["struck"]
    assert names_any_lab("test")("wsl-test.router")
    assert not names_any_lab("test")("wsl-test-gw1.router")
    assert not names_any_lab("test")("fs.inotify.max_user_instances = 128")


def test_what_the_tests_labs_left_is_found_and_what_they_took() -> None:
    left = replace(EMPTY, **OWN_AND_MACHINE)
    assert leftovers(EMPTY, left, is_test) == ["network_namespaces + wsl-test-gw1.router", "sysctls + fs.inotify.max_user_instances = 128"]
    assert leftovers(left, EMPTY, is_test) == ["network_namespaces - wsl-test-gw1.router", "sysctls - fs.inotify.max_user_instances = 128"]


def test_another_lab_comes_as_it_likes_and_keeps_what_all_labs_need() -> None:
    another = {"state_folders": frozenset({"/var/lib/webstack/labs/dev"}), "links": frozenset({"wsl-dev UP"})}
    after = replace(EMPTY, **OWN_AND_MACHINE, **another)
    assert leftovers(EMPTY, after, is_test) == ["network_namespaces + wsl-test-gw1.router"]
