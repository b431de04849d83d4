"""One state and two machines: what one applied, the other plans and changes, with another clone, cache and home.

Nothing of the first machine is there any more. The provider opens every asset that it is given, as the real one does.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.paths import REPOSITORY
from stack.bundles import app_bundle, cache_folder
from tests.aws.harness import Stack, empty_stack, replaced, updated
from tests.aws.test_changes import edit
from tests.program_files import copy_program


@dataclass(frozen=True)
class Machine:
    """The folders of one person's machine."""

    folder: Path

    @property
    def clone(self) -> Path:
        """The program."""
        return self.folder / "clone"

    @property
    def built(self) -> list[str]:
        """The apps whose bundles have been made there."""
        return [path.name for path in self.folder.glob(".cache/webstack/bundles/app/*")]

    def use(self, patch: pytest.MonkeyPatch) -> None:
        """Makes it the machine that this process runs on: the clone, an empty cache, the home."""
        self.clone.mkdir(parents=True)
        copy_program(self.clone)
        patch.setenv("HOME", str(self.folder))
        patch.delenv("WEBSTACK_CACHE", raising=False)


def state_of(stack: Stack) -> str:
    """What the state holds of things; not where the engine's own record of the program says that a line of it is."""
    deployment = stack.engine.stack.export_stack().deployment or {}
    return json.dumps([(one["urn"], one.get("inputs"), one.get("outputs")) for one in deployment["resources"]])


def keys(stack: Stack, bucket: str, prefix: str) -> list[str]:
    found = stack.api.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return [one.get("Key", "") for one in found]


def test_what_one_machine_applied_another_plans_and_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = cache_folder() / "app"
    first, second = Machine(tmp_path / "first"), Machine(tmp_path / "second")
    with empty_stack("dev") as stack:
        first.use(monkeypatch)
        if wheels.is_dir():
            shutil.copytree(wheels, first.folder / ".cache/webstack/bundles/app")
        stack.up(repository=first.clone)
        assert str(tmp_path) not in state_of(stack), "a path of the first machine is in the state"
        shutil.rmtree(first.folder)

        second.use(monkeypatch)
        assert stack.plan(repository=second.clone) == []
        assert second.built == [], "a preview fetches no wheel"
        assert stack.up(repository=second.clone) == []
        (bucket,) = [one.get("Name", "") for one in stack.api.s3.list_buckets()["Buckets"]]
        (released,) = keys(stack, bucket, "app/")

        edit(second.clone / "app/static/shop.css", "{", "{ /* the next release */")
        steps = stack.up(repository=second.clone)
        assert steps == sorted([*replaced("dev-web-1", "dev-web-2"), *updated("dev-web-name")])
        assert set(keys(stack, bucket, "app/")) == {released, f"app/{app_bundle(second.clone / 'app', build=False).sha256}.tar.gz"}
        for key in keys(stack, bucket, "roles/"):
            stack.api.s3.delete_object(Bucket=bucket, Key=key)
        assert stack.up(repository=second.clone) == []
        assert len(keys(stack, bucket, "roles/")) == 3, "an up puts back what somebody deleted"
        stack.refresh()
        assert stack.plan(repository=second.clone) == []
        for path in (tmp_path, REPOSITORY):
            assert str(path) not in state_of(stack)


def test_a_plan_over_an_exported_state_needs_nothing_of_where_it_was_made(
    dev: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = dev.engine.stack.export_stack()
    machine = Machine(tmp_path)
    machine.use(monkeypatch)
    with empty_stack("dev", passphrase=dev.engine.options.home / "passphrase") as elsewhere:
        elsewhere.engine.stack.import_stack(exported)
        told = elsewhere.plan_result(repository=machine.clone)
        assert (told.steps, told.errors) == ([], [])
        assert machine.built == []
