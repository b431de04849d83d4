"""`webstack deployer-policy`: the IAM policies for the roles that run `pulumi up` or `pulumi preview`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.paths import REPOSITORY
from ops.errors import UserError
from ops.permissions import required
from ops.permissions.github import Repository, trust_policy
from ops.permissions.policies import pack_policies, statements
from ops.permissions.required import DeployerKind
from ops.permissions.stack_file import policy_scope
from ops.permissions.state import StateBackend, state_statements

StackArgument = Annotated[str, typer.Option("--stack", help="The environment, configured by Pulumi.<stack>.yaml.")]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="The AWS account's 12-digit id. Default: the only one in aws:allowedAccountIds.")
]
NO_BOUNDARY_WARNING = (
    "Pulumi.{stack}.yaml has no webstack:environment.permissionsBoundary: whoever deploys may give the hosts' roles any right and use it"
    " from a host, as an administrator; docs/deploying.md, section 2"
)
FolderOption = Annotated[Path | None, typer.Option("--folder", help="Write each policy to a file in this folder instead of printing it.")]


def deployer_policy(
    stack: StackArgument = "dev",
    account: AccountOption = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="For a role that only previews, as in pull requests: it may read, but no secrets.")
    ] = False,
    state: Annotated[
        str | None, typer.Option("--state", help="Where Pulumi keeps the state, as given to `pulumi login`: s3://BUCKET.")
    ] = None,
    state_key: Annotated[str | None, typer.Option("--state-key", help="The ARN of the KMS key that encrypts the state's secrets.")] = None,
    github: Annotated[
        str | None, typer.Option("--github", help="Also print a trust policy for the workflows of this OWNER/REPOSITORY.")
    ] = None,
    github_ids: Annotated[
        str | None, typer.Option("--github-ids", help="The OWNER_ID/REPOSITORY_ID, for tokens whose subject contains ids.")
    ] = None,
    branch: Annotated[str | None, typer.Option("--branch", help="The branch whose workflows may assume the role. Default: main.")] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", help="The GitHub environment whose jobs may assume the role, instead of a branch.")
    ] = None,
    folder: FolderOption = None,
) -> None:
    """Print the least-privilege IAM policies that deploying a stack needs.

    Region and permissions boundary come from the stack file. IAM limits a policy to 6,144 characters, so there are several: attach all of
    them to the role. docs/deploying.md explains where they come from and what they cannot limit.
    """
    given = {"--github-ids": github_ids, "--branch": branch, "--environment": environment}
    alone = next((option for option, value in given.items() if value is not None and github is None), None)
    if alone:
        raise UserError(f"{alone} {given[alone]}: limits which workflows may assume the role; give --github OWNER/REPOSITORY too")
    if state_key is not None and state is None:
        raise UserError("--state-key: is the key of the state in a bucket; give --state too")
    where = policy_scope(REPOSITORY, stack, account)
    if where.boundary is None and not preview:
        typer.echo(f"warning: {NO_BOUNDARY_WARNING.format(stack=stack)}", err=True)
    who: DeployerKind = "preview" if preview else "up"
    lines = [*required.observed_permissions(who), *(one.permission for one in required.unobserved_permissions(who))]
    more = state_statements(StateBackend(bucket=state, key=state_key), who, where) if state is not None else []
    documents = pack_policies([*statements(lines, where), *more])
    texts: dict[str, Any] = {f"webstack-{stack}-{who}-{number}": document for number, document in enumerate(documents, 1)}
    if github is not None:
        chosen = Repository(name=github, ids=github_ids, branch=branch, environment=environment)
        texts[f"webstack-{stack}-{who}-trust"] = trust_policy(chosen, who, where)
    if folder is None:
        typer.echo(json.dumps(texts, indent=2))
        return
    _write(folder, texts)


def _write(folder: Path, texts: Mapping[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in texts.items():
            (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
            typer.echo(str(folder / f"{name}.json"))
    except OSError as error:
        what = f"{error.filename or folder}: {error.strerror}"
        raise UserError(
            f"--folder {str(folder)!r}: the policies cannot be written there ({what}); name a folder that can be made"
        ) from error
