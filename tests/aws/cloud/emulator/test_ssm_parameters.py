"""The public parameter of Debian's image."""

from lab.cloud.images import BAKED_IMAGE, DEBIAN_PARAMETER
from tests.aws.cloud.support import client


def test_debians_parameter_names_the_labs_image(api: str) -> None:
    assert client("ssm", api).get_parameter(Name=DEBIAN_PARAMETER)["Parameter"]["Value"] == BAKED_IMAGE
    image = client("ec2", api).describe_images(ImageIds=[BAKED_IMAGE])["Images"][0]
    assert (image["RootDeviceName"], image["Architecture"]) == ("/dev/xvda", "x86_64")
