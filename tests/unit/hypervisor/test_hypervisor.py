"""Which of two machines of one name the daemon acts on: the one that stays."""

from types import SimpleNamespace
from typing import cast

import pytest

from lab.hypervisor.desired import Power
from lab.hypervisor.hypervisor import Hypervisor


def hypervisor(**powers: Power) -> Hypervisor:
    """One that keeps a `web-1` for each instance id."""
    keepers = {
        name: SimpleNamespace(instance_id=name, desired=SimpleNamespace(name="web-1", power=power)) for name, power in powers.items()
    }
    return cast("Hypervisor", SimpleNamespace(reconcilers=keepers))


@pytest.mark.parametrize("order", [("old", "new"), ("new", "old")])
def test_a_leaving_machine_gives_way_to_the_one_that_stays(order: tuple[str, str]) -> None:
    powers = {"old": Power.GONE, "new": Power.ON}
    both = hypervisor(**{name: powers[name] for name in order})
    assert Hypervisor.find(both, "web-1").instance_id == "new"
    assert Hypervisor.find(both, "old").instance_id == "old"


def test_an_unknown_name_is_told_those_there_are() -> None:
    with pytest.raises(LookupError, match=r"host 'web-7'.*Hosts: web-1"):
        Hypervisor.find(hypervisor(new=Power.ON), "web-7")
