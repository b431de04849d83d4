"""Secrets: made at random by the engine, kept in Secrets Manager, read by hosts through their roles. One per account and purpose."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws
import pulumi_random as random
from webstack_host.variables import Role

from stack.component import Component
from stack.environment import Environment
from stack.naming import secret_prefix
from stack.roles import role_spec
from stack.secret_specs import SECRET_SPECS

RECOVERY_DAYS: Final = 30
STACK_ID_LENGTH: Final = 8


@dataclass(frozen=True, kw_only=True)
class CredentialsArgs:
    """What the credentials are made from."""

    environment: Environment


class Credentials(Component):
    """Every secret of the environment, and the id that tells this stack from any other of its name."""

    def __init__(self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        environment = args.environment
        protected = environment.protected
        # Kept in the state and gone with it: two stacks of one name in an account, or one made again while its secrets can still be
        # recovered, have other names. Protected, because another id would be other secrets.
        made = random.RandomString(
            environment.resource_name("stack-id"), length=STACK_ID_LENGTH, upper=False, special=False, opts=self.child(protect=protected)
        )
        self.stack_id = made.result
        self.prefix = self.stack_id.apply(lambda stack_id: secret_prefix(environment.name, stack_id))
        self.secrets: dict[str, aws.secretsmanager.Secret] = {}
        self._versions: dict[str, aws.secretsmanager.SecretVersion] = {}
        for purpose, chosen in SECRET_SPECS.items():
            resource = environment.resource_name(purpose)
            # Letters and digits only: such a text needs no quoting in any file, and 32 of them are 190 bits.
            text = random.RandomPassword(resource, length=chosen.length, special=False, opts=self.child(protect=protected))
            self.secrets[purpose] = aws.secretsmanager.Secret(
                resource,
                name=pulumi.Output.concat(self.prefix, "/", purpose),
                description=chosen.description,
                recovery_window_in_days=RECOVERY_DAYS if protected else 0,
                tags=environment.tags("credentials", resource),
                opts=self.child(protect=protected),
            )
            self._versions[purpose] = aws.secretsmanager.SecretVersion(
                resource,
                secret_id=self.secrets[purpose].id,
                secret_string=text.result,
                # Only the first value is the program's; later ones and all labels are those of rotations (docs/decisions/0020).
                opts=self.child(protect=protected, ignore_changes=["secretString", "versionStages"], retain_on_delete=True),
            )
        self.register_outputs({})

    def arns(self, role: Role) -> list[pulumi.Output[str]]:
        """The ARNs of the secrets that a role reads."""
        return [self.secrets[purpose].arn for purpose in self._secrets_for(role)]

    def boot_dependencies(self, role: Role) -> list[pulumi.Resource]:
        """What must exist before a host of that role boots: the values that it reads."""
        return [self._versions[purpose] for purpose in self._secrets_for(role)]

    def _secrets_for(self, role: Role) -> Sequence[str]:
        return [purpose for purpose in SECRET_SPECS if purpose in role_spec(role).secrets]
