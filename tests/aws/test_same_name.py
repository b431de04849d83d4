"""Two people's stacks of one name in one account, and one made again while what it deleted can still be recovered."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.standalone_moto import standalone_moto
from stack.secret_specs import SECRET_SPECS
from tests.aws.api import Api
from tests.aws.harness import Stack, open_stack


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[tuple[Stack, Stack]]:
    """Two stacks named dev in one account, each with an engine and a state of its own."""
    with ExitStack() as exits:
        api = Api(exits.enter_context(standalone_moto(tmp_path)))
        first, second = (exits.enter_context(open_stack("dev", api, tmp_path / name)) for name in ("first", "second"))
        yield first, second


def names(api: Api) -> set[str]:
    """Every secret's name, of those too that are to be deleted."""
    return {one.get("Name", "") for one in api.secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]}


def test_stacks_of_one_name_live_side_by_side_and_one_made_again_takes_no_name_that_was_there(twins: tuple[Stack, Stack]) -> None:
    first, second = twins
    first.up()
    before = names(first.api)
    assert len(before) == len(SECRET_SPECS)
    second.up()
    both = names(first.api)
    assert before < both
    assert len(both) == 2 * len(SECRET_SPECS)
    assert first.plan() == []

    first.engine.destroy()
    assert names(first.api) == both - before
    assert second.plan() == []
    first.up()
    # So a name that waits for its recovery window to end, as production's do for 30 days, is in nobody's way.
    assert len(names(first.api) - both) == len(SECRET_SPECS)
