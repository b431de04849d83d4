"""`webstack deployer-policy`: what whoever runs `pulumi up`, or previews, must be allowed on AWS."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.paths import REPOSITORY
from ops.failures import UserError
from ops.rights import needs
from ops.rights.github import Repository, trust
from ops.rights.needs import Who
from ops.rights.policies import split, statements
from ops.rights.stack_file import place
from ops.rights.state import State, state_statements

StackArgument = Annotated[str, typer.Option("--stack", help="The environment: Pulumi.<stack>.yaml.")]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="The AWS account's twelve digits; without it the one of aws:allowedAccountIds.")
]
UNBOUNDED = (
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
    where = place(REPOSITORY, stack, account)
    if where.boundary is None and not preview:
        typer.echo(f"warning: {UNBOUNDED.format(stack=stack)}", err=True)
    who: Who = "preview" if preview else "up"
    lines = [*needs.needed(who), *(one.line for one in needs.unseen(who))]
    more = state_statements(State(bucket=state, key=state_key), who, where) if state is not None else []
    documents = split([*statements(lines, where), *more])
    texts: dict[str, Any] = {f"webstack-{stack}-{who}-{number}": document for number, document in enumerate(documents, 1)}
    if github is not None:
        chosen = Repository(name=github, ids=github_ids, branch=branch, environment=environment)
        texts[f"webstack-{stack}-{who}-trust"] = trust(chosen, who, where)
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
