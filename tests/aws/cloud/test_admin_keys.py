"""The keys of a lab's administrator: random, kept, and root's."""

import json
import re
import stat
from pathlib import Path

import pytest

from lab import admin_keys, aws_clients
from lab.admin_keys import AccessKey, AdminKeysError
from lab.names import LabNames
from lab.provider.api_client import Credentials


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabNames:
    monkeypatch.setattr("lab.names.STATE_ROOT", tmp_path)
    for name in ("unit", "other"):
        LabNames.of(name).state_dir.mkdir(parents=True)
    return LabNames.of("unit")


def test_they_are_made_once_and_differ_between_labs(names: LabNames) -> None:
    made = admin_keys.ensure_admin_key(names)
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", made.access_key_id)
    assert re.fullmatch(r"[\w-]{40}", made.secret)
    assert admin_keys.ensure_admin_key(names) == admin_keys.read_admin_key(names) == made
    other = admin_keys.ensure_admin_key(LabNames.of("other"))
    assert other.access_key_id != made.access_key_id
    assert other.secret != made.secret


def test_only_their_owner_may_read_them_whatever_the_umask(names: LabNames) -> None:
    admin_keys.ensure_admin_key(names)
    assert stat.S_IMODE(names.keys_file.stat().st_mode) == 0o600


def test_the_secret_is_in_no_text_of_theirs(names: LabNames) -> None:
    made = admin_keys.ensure_admin_key(names)
    assert made.secret not in f"{made} {made!r}"
    held = Credentials(access_key=made.access_key_id, secret_key=made.secret, token=made.secret)
    assert made.secret not in f"{held} {held!r}"


def test_a_lab_without_any_is_to_be_started_anew(names: LabNames) -> None:
    with pytest.raises(AdminKeysError, match=r"lab 'unit' has no keys.*webstack lab down --lab unit; webstack lab up --lab unit"):
        admin_keys.read_admin_key(names)


def test_who_may_not_read_them_is_told_whose_they_are(names: LabNames, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(AdminKeysError, match=r"root's.*sudo"):
        admin_keys.read_admin_key(names)


def test_the_administrator_signs_with_them_at_the_door(names: LabNames) -> None:
    made = admin_keys.ensure_admin_key(names)
    caller = aws_clients.admin_clients(names)
    held = caller.session.get_credentials()
    assert held is not None
    assert (held.access_key, held.secret_key, held.token) == (made.access_key_id, made.secret, None)
    assert caller.client("ec2", "eu-west-1").meta.endpoint_url == caller.endpoint == names.api_endpoint


def test_the_labs_provider_signs_with_those_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    made = AccessKey(access_key_id="AKIAOFTHELAB", secret="of-the-lab")
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    assert Credentials.from_environment() == Credentials(access_key="AKIAOFTHELAB", secret_key="of-the-lab")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert Credentials.from_environment() == Credentials()


def test_their_file_is_what_stands_in_it(names: LabNames) -> None:
    names.keys_file.write_text(json.dumps({"access_key_id": "AKIA1", "secret": "s"}))
    assert admin_keys.ensure_admin_key(names) == AccessKey(access_key_id="AKIA1", secret="s")
