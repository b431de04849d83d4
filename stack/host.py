"""One EC2 host: what the three tiers share. Instance, data volume's attachment, and the wait until it serves.

Cattle are replaced, a new one before the old one leaves; pets keep their address, are changed in place and are never
replaced by a new image or new user data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import pulumi
import pulumi_aws as aws
from webstack_host.variables import Bundle, HostVariables, Role

from stack.artifacts import Artifacts
from stack.component import Component
from stack.credentials import Credentials
from stack.environment import Environment
from stack.firewall import Firewall
from stack.identity import Identity
from stack.naming import configuration_key
from stack.network import Network
from stack.readiness import ReadinessWaiter
from stack.roles.spec import HostInputs, RoleSpec
from stack.tags import STACK_ID_TAG
from stack.wait_result import WaitResult
from userdata.render import RenderError, render_configuration, render_user_data

DEBIAN_PARAMETER: Final = "/aws/service/debian/release/13/latest/amd64"
ROOT_VOLUME_GIB: Final = 10
DATA_DEVICE: Final = "/dev/sdf"
"""What EC2 calls the data volume. On the host it appears under its volume id, and is found by that."""
REPLACE_ON_CHANGES: Final = ("instanceType",)
"""Properties whose change the provider makes by stopping the running instance: it would do so to all hosts of a tier at once.

terraform-provider-aws, internal/service/ec2/ec2_instance.go, resourceInstanceUpdate: `instance_type` and `user_data` go through
modifyInstanceAttributeWithStopStart. Groups, profile, metadata options, the root volume and tags are changed on the running
instance. User data has a switch of its own, `user_data_replace_on_change`.
"""


@dataclass(frozen=True, kw_only=True)
class HostContext:
    """What every host stands on."""

    environment: Environment
    ami: str
    network: Network
    firewall: Firewall
    identity: Identity
    credentials: Credentials
    artifacts: Artifacts
    readiness: ReadinessWaiter

    def boot_dependencies(self, role: Role, *, subnet: tuple[Any, int]) -> list[pulumi.Resource]:
        """All that a host needs in order to boot and is not named by its own properties."""
        return [
            *self.network.boot_dependencies(*subnet),
            *self.firewall.boot_dependencies(role),
            *self.identity.boot_dependencies(role),
            *self.credentials.boot_dependencies(role),
        ]


@dataclass(frozen=True, kw_only=True)
class HostDocuments:
    """What a host is told. Only pets have a configuration object: cattle are replaced instead."""

    user_data: pulumi.Output[str]
    configuration: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """One host, the `number`th of its role."""

    context: HostContext
    spec: RoleSpec
    number: int
    documents: HostDocuments
    depends_on: Sequence[pulumi.Resource | pulumi.Output[Any]]
    """What must be there before it boots, besides what every host needs."""
    volume: aws.ebs.Volume | None = None


class Host(Component):
    """An instance that runs one role."""

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context, spec, role = args.context, args.spec, args.spec.name
        environment = context.environment
        self.host = spec.host_name(args.number)
        self.is_fixed = spec.is_fixed
        resource = environment.resource_name(self.host)
        tags: dict[str, pulumi.Input[str]] = {
            **environment.tags(spec.component, resource, host=self.host, role=role),
            STACK_ID_TAG: context.credentials.stack_id,
        }
        zone = environment.address_plan.zone_of(args.number)
        needs = [*context.boot_dependencies(role, subnet=(spec.subnet, zone)), *args.depends_on]
        beside: list[pulumi.Output[Any]] = []
        if self.is_fixed:
            # The instance comes after it: a pet that starts finds out whether its user data is the one that is wanted.
            published = self._configuration_object(args, needs)
            needs.append(published)
            beside.append(published.id)
        self.instance = aws.ec2.Instance(
            resource,
            ami=context.ami,
            instance_type=spec.settings(environment.settings).instance_type,
            subnet_id=context.network.subnet(spec.subnet, zone).id,
            private_ip=str(spec.placement(environment.address_plan, args.number).address) if self.is_fixed else None,
            vpc_security_group_ids=[context.firewall.groups[role].id],
            iam_instance_profile=context.identity.profiles[role].name,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3", volume_size=ROOT_VOLUME_GIB, encrypted=True, delete_on_termination=True, tags=tags
            ),
            user_data=args.documents.user_data,
            user_data_replace_on_change=not self.is_fixed,
            tags=tags,
            opts=self.child(
                depends_on=cast("list[pulumi.Resource]", needs),
                protect=environment.protected if self.is_fixed else None,
                delete_before_replace=True if self.is_fixed else None,
                replace_on_changes=None if self.is_fixed else list(REPLACE_ON_CHANGES),
                # Without a pin a new image would replace hosts; and no image ever replaces a pet.
                ignore_changes=["ami"] if self.is_fixed or environment.settings.environment.ami is None else None,
            ),
        )
        if args.volume is not None:
            attachment = aws.ec2.VolumeAttachment(
                environment.resource_name(f"{self.host}-data"),
                device_name=DATA_DEVICE,
                instance_id=self.instance.id,
                volume_id=args.volume.id,
                stop_instance_before_detaching=True,  # a mounted volume does not detach, and destroy would hang
                opts=self.child(delete_before_replace=True),
            )
            beside.append(attachment.id)
        self.role_id = context.identity.roles[role].unique_id
        self.wait_result: pulumi.Output[WaitResult] = context.readiness.wait(
            self.host,
            instance=self.instance.id,
            bucket=context.artifacts.bucket_name,
            role_id=self.role_id,
            user_data=args.documents.user_data,
            configuration=args.documents.configuration if spec.supports_reload else None,
            replaceable=not self.is_fixed,
            depends_on=beside,
        )
        self.register_outputs({"instance_id": self.instance.id})

    def _configuration_object(self, args: HostArgs, needs: Sequence[pulumi.Resource | pulumi.Output[Any]]) -> aws.s3.BucketObjectv2:
        """The configuration object. It waits for what the instance waits for: a running host applies it at once."""
        context = args.context
        resource = context.environment.resource_name(f"{self.host}-configuration")
        return aws.s3.BucketObjectv2(
            resource,
            bucket=context.artifacts.bucket_name,
            key=configuration_key(self.host),
            content=args.documents.configuration,
            content_type="application/yaml",
            tags=context.environment.tags("artifacts", resource),
            opts=self.child(depends_on=[*context.artifacts.bucket_settings, *cast("list[pulumi.Resource]", needs)]),
        )


def render_documents(
    context: HostContext, spec: RoleSpec, number: int, *, app_bundle: Bundle | None = None, **outputs: pulumi.Input[str]
) -> HostDocuments:
    """The texts for a host, once the facts that only AWS knows are known; `outputs` are fields of `HostInputs`."""
    role_bundle = context.artifacts.role_bundles[spec.name]

    def made(by: Callable[[HostVariables], str]) -> pulumi.Output[str]:
        def text(values: dict[str, Any]) -> str:
            try:
                inputs = HostInputs(role_bundle=role_bundle, app_bundle=app_bundle, **values)
                return by(spec.make_variables(context.environment, number, inputs))
            except RenderError as error:
                raise pulumi.RunError(str(error)) from error

        return pulumi.Output.all(bucket=context.artifacts.published_bucket, secret_prefix=context.credentials.prefix, **outputs).apply(text)

    return HostDocuments(user_data=made(render_user_data), configuration=made(render_configuration))


def resolve_ami(environment: Environment) -> str:
    """The AMI of new hosts: the pinned one, else Debian 13's newest."""
    pinned = environment.settings.environment.ami
    # The parameter is public. By its insecure value the plan shows which image a host gets.
    return pinned or aws.ssm.get_parameter(name=DEBIAN_PARAMETER).insecure_value
