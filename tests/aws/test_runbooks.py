"""The runbooks' commands, as the document has them, on the real engine."""

import re

from lab.cloud.images import BAKED_IMAGE, PLAIN_IMAGE
from lab.engine.workspace import Setting
from lab.paths import REPOSITORY
from tests.aws.api import tags
from tests.aws.harness import Stack, replaced

RUNBOOKS = (REPOSITORY / "docs" / "runbooks.md").read_text()


def commands(title: str) -> str:
    """The commands of a section."""
    section = RUNBOOKS.split(f"\n## {title}\n")[1].partition("\n## ")[0]
    return "\n".join(line.strip() for line in section.splitlines() if line.startswith("    "))


def test_a_newer_image_rolls_the_web_hosts_and_the_one_pet_that_is_replaced_by_name(dev: Stack) -> None:
    told = commands("A newer image")
    [key] = re.findall(r"pulumi config set --path webstack:(\S+) AMI", told)
    [pattern] = re.findall(r'pulumi up --replace "\$\(pulumi stack --show-urns \| grep -o \'(.+?)\'\)"', told)

    def images() -> dict[str, str]:
        return {tags(host)["host"]: host["ImageId"] for host in dev.api.instances()}

    def volumes() -> dict[str, str]:
        return {tags(volume)["Name"]: volume["VolumeId"] for volume in dev.api.describe("volumes")}

    assert set(images().values()) == {BAKED_IMAGE}
    pin, back = f"{key}={PLAIN_IMAGE}", f"{key}={BAKED_IMAGE}"
    assert Setting.parse(pin)
    name = ("update", "dev-web-name")
    assert [step for step in dev.plan(pin) if step != name] == replaced("dev-web-1", "dev-web-2"), "as the document says of the preview"

    [urn] = [found for urn in dev.urns() for found in re.findall(pattern, urn)]
    kept, addresses = volumes(), dev.api.records()["db-2.dev.webstack.internal."]
    try:
        steps = dev.up(pin, replace=[urn])
        assert {step[1] for step in steps if step != name} == {"dev-web-1", "dev-web-2", "dev-db-2", "dev-db-2-data"}
        assert images() == {"web-1": PLAIN_IMAGE, "web-2": PLAIN_IMAGE, "db-2": PLAIN_IMAGE, "db-1": BAKED_IMAGE, "lb-1": BAKED_IMAGE}
        assert volumes()["dev-db-2-data"] == kept["dev-db-2-data"]
        [host] = [one for one in dev.api.instances() if tags(one)["host"] == "db-2"]
        assert [host["PrivateIpAddress"]] == addresses
        assert kept["dev-db-2-data"] in [disk["Ebs"]["VolumeId"] for disk in host["BlockDeviceMappings"]]
    finally:
        dev.up(back, replace=[urn])
    assert set(images().values()) == {BAKED_IMAGE}
    assert dev.plan() == []
