"""`webstack deployer-policy`: what whoever runs `pulumi up`, or previews, must be allowed on AWS."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import yaml

from lab.engine.workspace import stack_names
from lab.paths import REPOSITORY
from ops.failures import UserError
from ops.rights import needs
from ops.rights.github import Repository, trust
from ops.rights.needs import Who
from ops.rights.policies import Place, split, statements
from ops.rights.state import State, state_statements
from stack.access import account_mistakes
from stack.naming import partition_of
from stack.problems import ConfigurationError, Problem
from stack.settings import parse

_ACCOUNT = re.compile(r"\d{12}")

StackArgument = Annotated[str, typer.Option("--stack", help="The environment: Pulumi.<stack>.yaml.")]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="The AWS account's twelve digits; without it the one of aws:allowedAccountIds.")
]
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
    branch: Annotated[str, typer.Option("--branch", help="The branch whose workflows may deploy.")] = "main",
    environment: Annotated[str | None, typer.Option("--environment", help="GitHub's environment, in place of the branch.")] = None,
    folder: FolderOption = None,
) -> None:
    """Print the least IAM policies under which a stack is deployed, and with --github the trust policy of the role that gets them.

    Region and permissions boundary are the stack file's. IAM limits a policy to 6,144 characters, so there are several: attach all of them.
    docs/deploying.md says how they come about and what they cannot limit.
    """
    place = _place(stack, account)
    who: Who = "preview" if preview else "up"
    lines = [*needs.needed(who), *(one.line for one in needs.unseen(who))]
    more = state_statements(State(bucket=state, key=state_key), who, place) if state else []
    if state_key and not state:
        raise UserError("--state-key: says which key the state has; give --state too")
    documents = split([*statements(lines, place), *more])
    texts: dict[str, Any] = {f"webstack-{stack}-{who}-{number}": document for number, document in enumerate(documents, 1)}
    if github:
        chosen = Repository(name=github, ids=github_ids, branch=branch, environment=environment)
        texts[f"webstack-{stack}-{who}-trust"] = trust(chosen, who, place)
    if folder is None:
        typer.echo(json.dumps(texts, indent=2))
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in texts.items():
        (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
        typer.echo(str(folder / f"{name}.json"))


def _place(stack: str, account: str | None) -> Place:
    path = REPOSITORY / f"Pulumi.{stack}.yaml"
    if not path.exists():
        raise UserError(f"--stack {stack!r}: there is no {path.name} here. Stack files: {', '.join(stack_names(REPOSITORY)) or 'none'}")
    try:
        content: Any = yaml.safe_load(path.read_text())
        config = cast("dict[str, Any]", (content or {}).get("config") or {})
    except (yaml.YAMLError, AttributeError) as error:
        raise UserError(f"{path.name} is no stack file: {error}") from error
    region = config.get("aws:region")
    if not isinstance(region, str):
        raise UserError(f"{path.name} has no aws:region, and rights hold for one region: set it with `pulumi config set aws:region REGION`")
    listed: Any = config.get("aws:allowedAccountIds")
    mistakes = [
        Problem(key=f"aws:allowedAccountIds{where}", value=given, rule=rule, remedy=remedy)
        for where, given, rule, remedy in account_mistakes(listed)
    ]
    if mistakes:
        raise UserError(str(ConfigurationError(mistakes, effect="no policy was made")))
    allowed = [str(one) for one in cast("list[object]", listed or [])]
    if account is None and len(allowed) == 1:
        (account,) = allowed
    if account is None or not _ACCOUNT.fullmatch(account):
        rule = "give the twelve digits of the AWS account, or list it alone in aws:allowedAccountIds"
        raise UserError(f"--account {account or ''}: {rule} of {path.name}")
    if allowed and account not in allowed:
        rule = f"{path.name} allows {', '.join(allowed)} alone (aws:allowedAccountIds), and the provider refuses to work in another"
        raise UserError(f"--account {account}: {rule}; give one of these, or change the list")
    try:
        settings = parse({key.removeprefix("webstack:"): value for key, value in config.items() if key.startswith("webstack:")})
    except ConfigurationError as error:
        raise UserError(str(error)) from error
    boundary = settings.environment.permissions_boundary
    return Place(stack=stack, region=region, account=account, partition=partition_of(region), boundary=boundary)
