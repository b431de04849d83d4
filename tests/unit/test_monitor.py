"""The guard itself: the strict monitor fires where the engine, the provider or AWS would refuse."""

from collections.abc import Callable

import pulumi
import pulumi_aws as aws
import pytest

from stack.component import Component
from stack.naming import COMPONENT_TYPES
from tests.unit.monitor import UNKNOWN, StrictMonitor, ViolationError, run


class Network(Component):
    """Any component will do."""


def inside(body: Callable[[pulumi.ResourceOptions], object]) -> Callable[[], None]:
    def program() -> None:
        body(Network("parent").child())

    return program


def test_it_lets_a_sound_program_pass_and_keeps_its_order_options_and_dependencies() -> None:
    def body(opts: pulumi.ResourceOptions) -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
        more = pulumi.ResourceOptions(
            parent=opts.parent,
            protect=True,
            ignore_changes=["tags"],
            replace_on_changes=["cidrBlock"],
            delete_before_replace=True,
            depends_on=[vpc],
        )
        aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", opts=more)
        pulumi.export("vpc", vpc.id)

    program = run(inside(body))
    assert [item.name for item in program.resources] == ["parent", "vpc", "subnet"]
    subnet = program.by_name("subnet")
    assert (subnet.protect, subnet.ignore_changes, subnet.delete_before_replace) == (True, ("tags",), True)
    assert subnet.replace_on_changes == ("cidrBlock",)
    assert program.dependencies(subnet) == {"vpc"}
    assert subnet.property_dependencies["vpcId"] == {program.by_name("vpc").urn}
    assert program.outputs == {"vpc": subnet.inputs["vpcId"]}


def test_it_refuses_two_resources_of_one_name() -> None:
    def body(opts: pulumi.ResourceOptions) -> None:
        aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
        aws.ec2.Vpc("vpc", cidr_block="10.1.0.0/16", opts=opts)

    with pytest.raises(ViolationError, match="'vpc': a resource of this type and name exists already"):
        run(inside(body))


def test_it_refuses_an_unknown_property() -> None:
    def body(opts: pulumi.ResourceOptions) -> None:
        pulumi.CustomResource("aws:ec2/vpc:Vpc", "vpc", {"cidrBlock": "10.0.0.0/16", "cidrBlok": "x"}, opts)

    with pytest.raises(ViolationError, match="cidrBlok"):
        run(inside(body))


def test_it_refuses_what_aws_refuses() -> None:
    with pytest.raises(ViolationError, match="cidrBlock"):
        run(inside(lambda opts: aws.ec2.Vpc("vpc", cidr_block="10.0.0.1/16", opts=opts)))


def test_it_refuses_a_reference_to_what_nobody_registered() -> None:
    with pytest.raises(ViolationError, match="vpcId is 'vpc-123', which no registered resource put out"):
        run(inside(lambda opts: aws.ec2.Subnet("subnet", vpc_id="vpc-123", cidr_block="10.0.0.0/24", opts=opts)))


def test_it_refuses_an_orphan() -> None:
    with pytest.raises(ViolationError, match="has no component as its parent"):
        run(lambda: aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16") and None)


def test_it_refuses_a_look_up_that_nobody_answers() -> None:
    with pytest.raises(Exception, match="getRegion"):
        run(lambda: aws.get_region() and None)


def test_an_assertion_in_an_apply_fails_the_run() -> None:
    def wrong(_: str) -> None:
        raise AssertionError("seen")

    def body(opts: pulumi.ResourceOptions) -> None:
        aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts).id.apply(wrong)

    with pytest.raises(AssertionError, match="seen"):
        run(inside(body))


def test_in_a_preview_what_only_aws_gives_is_unknown() -> None:
    seen: list[str] = []

    def body(opts: pulumi.ResourceOptions) -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
        vpc.id.apply(seen.append)
        vpc.cidr_block.apply(seen.append)
        aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", opts=opts)

    program = run(inside(body), monitor=StrictMonitor(preview=True))
    assert seen == ["10.0.0.0/16"]
    assert program.by_name("subnet").inputs["vpcId"] is UNKNOWN


def test_every_resource_is_there_when_the_run_is_over_also_what_an_apply_made() -> None:
    def body(opts: pulumi.ResourceOptions) -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts)
        vpc.id.apply(lambda vpc_id: aws.ec2.Subnet("late", vpc_id=vpc_id, cidr_block="10.0.0.0/24", opts=opts).id)

    assert run(inside(body)).by_name("late")


def test_a_component_without_a_row_in_the_table_cannot_be_made() -> None:
    class Forgotten(Component):
        pass

    assert "Forgotten" not in COMPONENT_TYPES
    with pytest.raises(KeyError, match="Forgotten"):
        run(lambda: Forgotten("x") and None)
