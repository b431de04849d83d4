"""What the lives of stacks under the generated policies have in common: who lives them, in which account, by which policies."""

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.cloud.iam.statements import Ask
from ops.rights import needs
from ops.rights.needs import Who
from ops.rights.policies import Document, Place, split, statements
from stack.access import Access
from stack.cloud import Cloud
from tests.aws.api import REGION
from tests.aws.harness import Stack, stack
from tests.aws.judged import ACCOUNT, ANYTHING, Heard, JudgedApi, judged_api

RECORD = os.environ.get("WEBSTACK_RECORD_RIGHTS") == "1"
"""Everything passes, and what is asked is written down."""
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/webstack-boundary"


def place_of(name: str) -> Place:
    """The account and region of a stack."""
    return Place(stack=name, region=REGION, account=ACCOUNT, boundary=BOUNDARY)


def policies(who: Who, where: Place) -> list[Document]:
    """What the generator gives a deployer or previewer."""
    return split(statements([*needs.needed(who), *(one.line for one in needs.unseen(who))], where))


@dataclass
class Life:
    """A life that has been lived."""

    heard: list[Heard]
    refused_up: Sequence[str] = ()
    """The errors of an `up` by who may only preview."""
    first_refused: str = ""

    def asks(self, who: str) -> list[Ask]:
        """What a principal asked, each ask once."""
        found = {(one.ask.action, one.ask.resource, repr(sorted(_told(one.ask).items()))): one.ask for one in self.heard if one.who == who}
        return list(found.values())

    def refused(self) -> list[tuple[str, str, str]]:
        """What was refused: who asked, the action and the resource."""
        return [(one.who, one.ask.action, one.ask.resource) for one in self.heard if not one.allowed]


def _told(ask: Ask) -> dict[str, tuple[str, ...]]:
    passing = ("aws:currenttime", "aws:epochtime", "aws:useragent")
    return {key: value for key, value in ask.facts.values.items() if key not in passing}


@dataclass
class Lived:
    """A stack in an API that judges, and the settings of an operation by either of its two principals."""

    api: JudgedApi
    stack: Stack
    preview: tuple[str, ...]
    deploy: tuple[str, ...]

    def as_previewer(self) -> None:
        """All that follows is asked by who may preview."""
        self.stack.always = self.preview

    def as_deployer(self) -> None:
        """All that follows is asked by who may deploy."""
        self.stack.always = self.deploy

    def hosts_report(self) -> None:
        """Hosts write what they write, and the program's wait reads it by the deployer's rights."""
        bucket = self.api.api.bucket()
        for key in ("hosts/a.json", "database/primary.json"):
            self.api.api.s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
        cloud = Cloud(_access(self.api, self.deploy))
        found = cloud.read(bucket, "hosts/a.json")
        assert found is not None
        assert (found.body, found.age < 60) == (b"{}", True)
        assert cloud.read(bucket, "hosts/missing.json") is None


@contextmanager
def begun(name: str) -> Generator[Lived]:
    """A stack with nothing in it, whose previewer and deployer have the generated policies, or every right while they are recorded."""
    with judged_api() as api, tempfile.TemporaryDirectory() as folder, stack(name, api.api, Path(folder), endpoint=api.endpoint) as one:
        api.policy("webstack-boundary", ANYTHING)
        common = (*one.always, f"environment.permissionsBoundary={BOUNDARY}")
        whose: dict[Who, str] = {"preview": "reviewer", "up": "deployer"}
        keys = {who: api.principal(called, [ANYTHING] if RECORD else policies(who, place_of(name))) for who, called in whose.items()}
        yield Lived(api=api, stack=one, preview=(*common, *keys["preview"]), deploy=(*common, *keys["up"]))


def _access(api: JudgedApi, always: Sequence[str]) -> Access:
    given = {name: value.strip('"') for name, value in (one.removeprefix("aws:").split("=", 1) for one in always if one.startswith("aws:"))}
    keys = {name: given[name] for name in ("accessKey", "secretKey", "token")}
    return Access.read(REGION, {**keys, "endpoints": [{"ec2": api.endpoint, "s3": api.endpoint}], "s3UsePathStyle": True})
