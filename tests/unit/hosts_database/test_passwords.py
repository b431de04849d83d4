"""The passwords of accounts while they are changed: what MySQL accepts at every moment, whatever was begun before."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from database_role import passwords, paths, receiver_password
from database_role.passwords import DesiredPasswords, PasswordMismatchError, PasswordReconciler
from webstack_host import aws, config, stack_secrets

from .support import DB_1

PURPOSE, NETWORK = "app-writer", "10.20.0.0/16"
STATEMENT = re.compile(
    r"ALTER USER 'app_writer'@'10\.20\.0\.0/16' (?:IDENTIFIED BY '(\w+)'( RETAIN CURRENT PASSWORD)?|(DISCARD OLD PASSWORD))"
)


class Account:
    """MySQL's account, by https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords.

    `lost` is what was refused to a user of `kept` at any moment.
    """

    def __init__(self, first: str, second: str = "") -> None:
        self.first, self.second = first, second
        self.kept = ""
        self.statements: list[str] = []

    def row(self, statement: str, values: Sequence[object]) -> dict[str, Any]:
        assert statement == passwords.HAS_SECONDARY
        assert list(values) == ["app_writer", NETWORK]
        return {"two": int(bool(self.second))}

    def run(self, *statements: str) -> None:
        for statement in statements:
            found = STATEMENT.fullmatch(statement)
            assert found, statement
            password, retain, discard = found.groups()
            if discard:
                self.second = ""
            else:
                self.second = self.first if retain else self.second
                self.first = password
            self.statements.append(statement)
            assert not self.kept or self.works("app_writer", self.kept), f"refused after: {statement}"

    def works(self, name: str, password: str) -> bool:
        assert name == "app_writer"
        return password in (self.first, self.second) and bool(password)


class Manager:
    """Secrets Manager with one secret; the value of version `v1` is `pv1`."""

    def __init__(self, **stages: str) -> None:
        self.stages = stages

    def describe_secret(self, SecretId: str) -> dict[str, object]:  # noqa: N803
        return {"VersionIdsToStages": {version: [f"AWS{label.upper()}"] for label, version in self.stages.items() if version}}

    def get_secret_value(self, SecretId: str, VersionId: str = "") -> dict[str, str]:  # noqa: N803
        version = VersionId or self.stages["current"]
        return {"SecretString": f"p{version}", "VersionId": version}


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    made = Manager(current="v1")
    monkeypatch.setattr(config, "load_common", lambda: replace(DB_1, secret_prefix="webstack/dev-1"))
    monkeypatch.setattr(aws, "secrets", lambda: made)
    return made


def keeper(account: Account) -> PasswordReconciler:
    return PasswordReconciler(
        account,  # pyright: ignore[reportArgumentType]
        "app_writer",
        PURPOSE,
        network=NETWORK,
        can_log_in=lambda name, password: account.works(name, password),
    )


def test_a_rotation_step_by_step(manager: Manager) -> None:
    account = Account("pv1")
    kept, values = keeper(account), stack_secrets.SecretCache()
    assert kept.reconcile(values) == ["v1"]
    assert account.statements == []
    manager.stages["pending"] = "v2"
    account.kept = "pv1"
    assert kept.reconcile(values) == ["v2", "v1"]
    assert {account.first, account.second} == {"pv1", "pv2"}
    done = list(account.statements)
    assert kept.reconcile(values) == ["v2", "v1"]
    manager.stages = {"current": "v2", "previous": "v1"}
    assert kept.reconcile(values) == ["v2", "v1"]
    assert account.statements == done, "what MySQL has need not be given again"
    manager.stages = {"current": "v2"}
    account.kept = "pv2"
    assert kept.reconcile(values) == ["v2"]
    assert (account.first, account.second) == ("pv2", "")


LABELS = [
    {"current": "v1"},
    {"current": "v1", "pending": "v2"},
    {"current": "v2", "previous": "v1"},
    {"current": "v1", "pending": "v3", "previous": "v0"},
]
FOUND = [(first, second) for first in ("pv0", "pv1", "pv2", "pv3") for second in ("", "pv0", "pv1", "pv2", "pv3") if first != second]


@pytest.mark.parametrize(("labels", "found"), list(itertools.product(LABELS, FOUND)))
def test_whatever_was_begun_before_ends_where_the_labels_say_and_who_uses_a_password_keeps_it(
    manager: Manager, labels: dict[str, str], found: tuple[str, str]
) -> None:
    """A host that was rebooted at any moment of any rotation, a version that was given up, a password that was changed by hand."""
    manager.stages = dict(labels)
    account = Account(*found)
    wanted = DesiredPasswords.from_labels(stack_secrets.labels(PURPOSE))
    used = f"p{wanted.secondary or wanted.primary}"
    account.kept = used if used in found else ""
    assert keeper(account).reconcile(stack_secrets.SecretCache()) == wanted.versions
    assert sorted(one for one in (account.first, account.second) if one) == sorted(f"p{version}" for version in wanted.versions)


def test_a_password_that_was_given_up_and_works_is_not_told_as_refused(manager: Manager) -> None:
    account = Account("pv1")
    kept, values = keeper(account), stack_secrets.SecretCache()
    manager.stages["pending"] = "v2"
    kept.reconcile(values)
    manager.stages = {"current": "v2"}
    account.works = lambda name, password: True
    for _ in range(2):
        with pytest.raises(PasswordMismatchError, match="still accepts"):
            kept.reconcile(values)


def test_a_password_that_mysql_refuses_after_all_is_not_told_as_accepted(manager: Manager) -> None:
    account = Account("pv1")
    refusing: Callable[[str, str], bool] = lambda name, password: False  # noqa: E731
    account.works = refusing
    with pytest.raises(PasswordMismatchError, match="refuses a password that it was given"):
        keeper(account).reconcile(stack_secrets.SecretCache())


def test_no_statement_carries_a_password_out_of_its_quotes() -> None:
    for statement in (
        *passwords.dual_password_statements("w", first="a'b", second="c\\d"),
        *passwords.single_password_statements("w", "a'b"),
    ):
        assert "a'b" not in statement.replace("a\\'b", "")


# --- a replica's receiver


@pytest.fixture
def receiver(manager: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> list[str]:
    """The statements that the replica's MySQL was given."""
    said: list[str] = []
    monkeypatch.setattr(paths, "RECEIVER_VERSION", tmp_path / "receiver-secret")
    monkeypatch.setattr(paths, "ROLE_LOCK", tmp_path / "role.lock")
    return said


def server(said: list[str]) -> Any:
    def run(*statements: str) -> None:
        said.extend(statements)

    return SimpleNamespace(run=run)


def test_a_receiver_is_started_anew_with_the_new_password_once(manager: Manager, receiver: list[str]) -> None:
    assert receiver_password.refresh(server(receiver)) == "", "its start is the agent's"
    receiver_password.start(server(receiver))
    assert receiver_password.current_version() == "v1"
    receiver.clear()
    assert receiver_password.refresh(server(receiver)) == "v1"
    assert receiver == []
    manager.stages["pending"] = "v2"
    assert receiver_password.refresh(server(receiver)) == "v1", "what is not proven is not used"
    manager.stages = {"current": "v2", "previous": "v1"}
    assert receiver_password.refresh(server(receiver)) == "v2"
    assert receiver == ["STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD USER='replication' PASSWORD='pv2'"]
    assert receiver_password.refresh(server(receiver)) == "v2"
    assert len(receiver) == 2
