"""Who may take a role: a repository's GitHub Actions, by their OpenID Connect tokens.

The subjects: https://docs.github.com/en/actions/reference/security/oidc. Of repositories made or renamed since 2026-07-15 the subject
bears the ids of owner and repository, which nobody else ever gets:
https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
A job that names an environment has the environment in its subject and not the branch.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from ops.rights.needs import Who
from ops.rights.policies import Place, RightsError

ISSUER: Final = "token.actions.githubusercontent.com"
AUDIENCE: Final = "sts.amazonaws.com"

_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[\w.-]+")
_IDS = re.compile(r"\d+/\d+")
_NAME = re.compile(r"[\w./-]+")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository. `ids` are `OWNER_ID/REPOSITORY_ID`; without an `environment` the `branch` counts."""

    name: str
    ids: str | None = None
    branch: str = "main"
    environment: str | None = None


def trust(repository: Repository, who: Who, place: Place) -> dict[str, Any]:
    """The trust policy of the role. Raises RightsError."""
    condition = {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subjects(repository, who)}}
    provider = f"arn:{place.partition}:iam::{place.account}:oidc-provider/{ISSUER}"
    statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


def subjects(repository: Repository, who: Who) -> list[str]:
    """The subjects of tokens that may take the role: by names, and by names and ids where they are known. Raises RightsError."""
    for option, pattern, value, form in (
        ("--github", _REPOSITORY, repository.name, "OWNER/REPOSITORY"),
        ("--github-ids", _IDS, repository.ids, "what `gh api repos/OWNER/REPOSITORY --jq '\"\\(.owner.id)/\\(.id)\"'` prints"),
        ("--branch", _NAME, repository.branch, "the name of one branch, without wildcards"),
        ("--environment", _NAME, repository.environment, "the name of one environment, without wildcards"),
    ):
        if value is not None and not pattern.fullmatch(value):
            raise RightsError(f"{option} {value!r}: write {form}")
    owner, _, name = repository.name.partition("/")
    forms = [f"{owner}/{name}"]
    if repository.ids:
        owner_id, _, repository_id = repository.ids.partition("/")
        forms.append(f"{owner}@{owner_id}/{name}@{repository_id}")
    context = f"environment:{repository.environment}" if repository.environment else f"ref:refs/heads/{repository.branch}"
    return [f"repo:{form}:{'pull_request' if who == 'preview' else context}" for form in forms]
