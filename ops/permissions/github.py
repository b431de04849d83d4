"""Who may take a role: a repository's GitHub Actions, by their OpenID Connect tokens.

The subjects: https://docs.github.com/en/actions/reference/security/oidc. Of repositories made or renamed since 2026-07-15 the subject
bears the ids of owner and repository, which nobody else ever gets:
https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
A job that names an environment has the environment in its subject and not the branch. A `:` within a name is `%3A` in the subject.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from ops.permissions.policies import PolicyError, PolicyScope
from ops.permissions.required import DeployerKind

ISSUER: Final = "token.actions.githubusercontent.com"
AUDIENCE: Final = "sts.amazonaws.com"
DEFAULT_BRANCH: Final = "main"

_REPOSITORY = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+")
"""An underscore is in the names of an enterprise's managed users."""
_IDS = re.compile(r"[0-9]+/[0-9]+")
_INVALID_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|^[/-]|[/.]$|(?:^|/)\.|\.lock(?:/|$)|^@$")
"""What no branch's name has: https://git-scm.com/docs/git-check-ref-format."""
_INVALID_ENVIRONMENT = re.compile(r"[\x00-\x1f\x7f*?]|^\s|\s$")
_MAX_ENVIRONMENT_CHARS: Final = 255
"""Characters of an environment's name:
https://docs.github.com/en/actions/how-tos/deploy/configure-and-manage-deployments/manage-environments."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository. `ids` are `OWNER_ID/REPOSITORY_ID`. A job's `environment` or its `branch` counts, without either the branch `main`."""

    name: str
    ids: str | None = None
    branch: str | None = None
    environment: str | None = None


def trust_policy(repository: Repository, kind: DeployerKind, scope: PolicyScope) -> dict[str, Any]:
    """The trust policy of the role. Raises PolicyError."""
    condition = {
        "StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": [_escape_variables(one) for one in subjects(repository, kind)]}
    }
    provider = f"arn:{scope.partition}:iam::{scope.account}:oidc-provider/{ISSUER}"
    statement = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


def subjects(repository: Repository, kind: DeployerKind) -> list[str]:
    """The subjects of tokens that may take the role: by names, and by names and ids where they are known. Raises PolicyError."""
    _check(repository, kind)
    owner, _, name = repository.name.partition("/")
    forms = [f"{owner}/{name}"]
    if repository.ids:
        owner_id, _, repository_id = repository.ids.partition("/")
        forms.append(f"{owner}@{owner_id}/{name}@{repository_id}")
    context = f"ref:refs/heads/{repository.branch or DEFAULT_BRANCH}"
    if repository.environment is not None:
        context = f"environment:{repository.environment.replace(':', '%3A')}"
    return [f"repo:{form}:{'pull_request' if kind == 'preview' else context}" for form in forms]


def _check(repository: Repository, kind: DeployerKind) -> None:
    branch, environment = repository.branch, repository.environment
    if not _REPOSITORY.fullmatch(repository.name):
        raise PolicyError(f"--github {repository.name!r}: write OWNER/REPOSITORY")
    if repository.ids is not None and not _IDS.fullmatch(repository.ids):
        raise PolicyError(
            f"--github-ids {repository.ids!r}: write what `gh api repos/OWNER/REPOSITORY --jq '\"\\(.owner.id)/\\(.id)\"'` prints"
        )
    if branch is not None and (not branch or _INVALID_BRANCH.search(branch)):
        raise PolicyError(f"--branch {branch!r}: write the name of one branch, without wildcards, as git takes it")
    if environment is not None and (
        not environment or len(environment) > _MAX_ENVIRONMENT_CHARS or _INVALID_ENVIRONMENT.search(environment)
    ):
        form = f"the name of one environment, without wildcards, of at most {_MAX_ENVIRONMENT_CHARS} characters"
        raise PolicyError(f"--environment {environment!r}: write {form}")
    option = "--environment" if environment is not None else "--branch" if branch is not None else ""
    if kind == "preview" and option:
        rule = "a previewer's jobs run for pull requests, whose subject is `pull_request` and names neither branch nor environment"
        raise PolicyError(f"--preview with {option}: {rule}; leave {option} out, or give the job no environment")
    if branch is not None and environment is not None:
        rule = "the subject of a job that names an environment does not name the branch"
        raise PolicyError(f"--branch with --environment: {rule}; give one of them, and limit the environment's branches on GitHub")


def _escape_variables(text: str) -> str:
    """The text as IAM takes it by the letter: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"""
    return text.replace("${", "${$}{")
