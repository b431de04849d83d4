"""The ids of the machine images that the lab's API offers. The hypervisor boots the image with the same id."""

BAKED_IMAGE = "ami-0deb1a0000000013f"
"""Debian 13 with the packages of every role, which makes boots quick. The public SSM parameter names this one."""

PLAIN_IMAGE = "ami-0deb1a000000001ff"
"""Debian 13 as its maintainers publish it: each host installs its packages at its first boot, as on AWS."""

ROOT_DEVICE = "/dev/xvda"
ROOT_GIGABYTES = 8
DEBIAN_PARAMETER = "/aws/service/debian/release/13/latest/amd64"
"""https://wiki.debian.org/Cloud/AmazonEC2Image/Trixie names the parameters of Debian's images."""
