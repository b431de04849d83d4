"""The services that a VPC endpoint can be had for."""

from moto.ec2.models import vpcs

from lab.cloud.emulator.patching import replace

GATEWAY_SERVICES = ["s3", "dynamodb"]
"""Those with gateway endpoints; for all others moto's common description of an interface endpoint serves."""


def install() -> None:
    """To list them moto asks every service that it emulates and loads all their code: seconds in which no other call is answered."""
    replace(vpcs, "IMPLEMENTED_ENDPOINT_SERVICES", GATEWAY_SERVICES)
    replace(vpcs, "COVERED_ENDPOINT_SERVICES", GATEWAY_SERVICES)
