"""One run drives an engine at a time, and none of the user's AWS settings reaches what it drives."""

import fcntl
import os
from pathlib import Path

import pytest

from lab.admin_keys import AccessKey
from lab.engine.engine import Engine, EngineBusyError, EngineOptions, isolated_aws_environment

ENDPOINT = "http://127.0.0.1:14600"

OURS = {
    "AWS_ACCESS_KEY_ID": "AKIAOFTHELAB",
    "AWS_SECRET_ACCESS_KEY": "of-the-lab",
    "AWS_ENDPOINT_URL": ENDPOINT,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}

USERS = {
    "AWS_ACCESS_KEY_ID": "AKIAOFMYOWN",
    "AWS_SESSION_TOKEN": "of-my-own",
    "AWS_PROFILE": "of-my-own",
    "AWS_REGION": "us-gov-west-1",
    "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/of-my-own",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/of/my/own",
    "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
    "AWS_CA_BUNDLE": "/of/my/own.pem",
}


def aws() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def test_no_aws_setting_of_the_user_is_left_while_the_engine_runs_and_all_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in USERS.items():
        monkeypatch.setenv(name, value)
    before = aws()
    with isolated_aws_environment(ENDPOINT, AccessKey(access_key_id="AKIAOFTHELAB", secret="of-the-lab")):
        assert aws() == OURS
    assert aws() == before


def test_they_come_back_after_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-my-own")
    before = aws()
    with pytest.raises(RuntimeError), isolated_aws_environment(ENDPOINT):
        raise RuntimeError
    assert aws() == before


def options(home: Path) -> EngineOptions:
    return EngineOptions(home=home, repository=home, stack="dev", endpoint=ENDPOINT, pulumi_root=home)


@pytest.mark.parametrize("held", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_a_second_run_is_refused_with_the_process_that_has_the_engine(tmp_path: Path, held: int) -> None:
    with (tmp_path / "engine.lock").open("w") as other:
        fcntl.flock(other, held)
        other.write("4711")
        other.flush()
        with pytest.raises(EngineBusyError, match=r"process 4711\)"), Engine(options(tmp_path)):
            pass
    assert not (tmp_path / "backend").exists(), "nothing was touched"


def test_an_engine_that_could_not_be_opened_is_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("lab.engine.backend.Backend.prepare", broken)
    for _ in range(2):
        with pytest.raises(RuntimeError), Engine(options(tmp_path)):
            pass
    with (tmp_path / "engine.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
