"""`webstack deployer-policy`: what whoever runs `pulumi up`, or previews, must be allowed on AWS."""

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

StackArgument = Annotated[str, typer.Option("--stack", help="The environment: Pulumi.<stack>.yaml.")]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="The AWS account's twelve digits; without it the one of aws:allowedAccountIds.")
]
NO_BOUNDARY_WARNING = (
    "Pulumi.{stack}.yaml has no webstack:environment.permissionsBoundary: whoever deploys may give the hosts' roles any right and use it"
    " from a host, as an administrator; docs/deploying.md, section 2"
)
FolderOption = Annotated[Path | None, typer.Option("--folder", help="Write each policy into a file of this folder, ready for IAM.")]


def deployer_policy(
    stack: StackArgument = "dev",
    account: AccountOption = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="For who may only preview, as in pull requests: reads, and no secret.")
    ] = False,
    state: Annotated[
        str | None, typer.Option("--state", help="Where the engine's state is, as `pulumi login` takes it: s3://BUCKET.")
    ] = None,
    state_key: Annotated[str | None, typer.Option("--state-key", help="The ARN of the KMS key of the state and its secrets.")] = None,
    github: Annotated[str | None, typer.Option("--github", help="OWNER/REPOSITORY whose workflows may take the role.")] = None,
    github_ids: Annotated[str | None, typer.Option("--github-ids", help="OWNER_ID/REPOSITORY_ID, for subjects that bear ids.")] = None,
    branch: Annotated[str | None, typer.Option("--branch", help="The branch whose workflows may deploy: main, if not given.")] = None,
    environment: Annotated[str | None, typer.Option("--environment", help="GitHub's environment, in place of the branch.")] = None,
    folder: FolderOption = None,
) -> None:
    """Print the least IAM policies under which a stack is deployed, and with --github the trust policy of the role that gets them.

    Region and permissions boundary are the stack file's. IAM limits a policy to 6,144 characters, so there are several: attach all of them.
    docs/deploying.md says how they come about and what they cannot limit.
    """
    given = {"--github-ids": github_ids, "--branch": branch, "--environment": environment}
    alone = next((option for option, value in given.items() if value is not None and github is None), None)
    if alone:
        raise UserError(f"{alone} {given[alone]}: says whose workflows may take the role; give --github OWNER/REPOSITORY too")
    if state_key is not None and state is None:
        raise UserError("--state-key: says which key the state has; give --state too")
    where = policy_scope(REPOSITORY, stack, account)
    if where.boundary is None and not preview:
        typer.echo(f"warning: {NO_BOUNDARY_WARNING.format(stack=stack)}", err=True)
    who: DeployerKind = "preview" if preview else "up"
    lines = [*required.observed(who), *(one.permission for one in required.unobserved(who))]
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
