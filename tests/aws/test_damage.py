"""Whatever file of its own a killed engine left empty or half, the next run works or says what to do; a stack file may hold a salt."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.engine import pulumi_cli
from lab.engine.engine import Engine, EngineOptions
from lab.engine.state_errors import CorruptStateError
from lab.errors import LabError
from lab.standalone_moto import standalone_moto

PROGRAM = """
import pulumi
import pulumi_random

pulumi.export("word", pulumi_random.RandomPassword("word", length=12).result)
pulumi.export("given", pulumi.Config("webstack").get_object("environment"))
"""

STACK_FILE = """
# as `pulumi stack init` leaves it
secretsprovider: passphrase
encryptedkey: AQECAHg
encryptionsalt: v1:nDsG3vOjWj8=:v1:0000000000000000:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
config:
  aws:region: eu-central-1
  aws:profile: of-my-own
  webstack:environment: {expires: 2030-01-31T18:00:00Z}"""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An engine's folder after an `up`, and what opens it again."""

    options: EngineOptions
    given: object

    def spoilt(self, home: Path, file: Path, content: bytes) -> EngineOptions:
        """A copy of the folder with one file spoilt."""
        shutil.copytree(self.options.home, home)
        (home / file).write_bytes(content)
        return replace(self.options, home=home)


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    """A stack of one secret value in a folder of its own; its stack file is one that was used with AWS."""
    with tempfile.TemporaryDirectory() as folder, standalone_moto(Path(folder)) as endpoint:
        repository = Path(folder) / "program"
        repository.mkdir()
        (repository / "Pulumi.yaml").write_text("name: webstack\nruntime: python\n")
        (repository / "Pulumi.dev.yaml").write_text(STACK_FILE)
        (repository / "__main__.py").write_text(PROGRAM)
        options = EngineOptions(
            home=Path(folder) / "engine", repository=repository, stack="dev", endpoint=endpoint, pulumi_root=pulumi_cli.ensure()
        )
        with Engine(options) as engine:
            given = engine.up().outputs["given"].value
        yield Kept(options=options, given=given)


def test_a_stack_file_that_was_used_with_aws_is_applied(kept: Kept) -> None:
    assert kept.given == {"expires": "2030-01-31T18:00:00Z"}


@pytest.mark.parametrize("spoil", ["empty", "half"])
def test_any_file_that_a_killed_engine_left_so_is_mended_or_named(kept: Kept, tmp_path: Path, spoil: str) -> None:
    home = kept.options.home
    # What is not the state's is spoilt at once: the engine writes it for people, or can make it again.
    state = {
        Path("backend/.pulumi/meta.yaml"),
        Path("backend/.pulumi/stacks/webstack/dev.json"),
        Path("passphrase"),
        Path("workspace/Pulumi.dev.yaml"),
    }
    files = {path.relative_to(home) for path in home.rglob("*") if path.is_file()}
    assert state <= files

    def cut(file: Path) -> bytes:
        data = (home / file).read_bytes()
        return b"" if spoil == "empty" else data[: len(data) // 2]

    options = kept.spoilt(tmp_path / "others", Path("workspace/Pulumi.yaml"), b"")
    for file in files - state:
        (options.home / file).write_bytes(cut(file))
    for name in ("meta.yaml", "stacks/webstack/dev.json", "stacks/webstack/dev.json.bak"):
        (options.home / "backend/.pulumi" / f"{name}.attrs").write_bytes(b"" if spoil == "empty" else b"{")
    with Engine(options) as engine:
        assert engine.up().summary.resource_changes == {"same": 2}

    for file in (Path("backend/.pulumi/meta.yaml"), Path("workspace/Pulumi.dev.yaml")):
        with Engine(kept.spoilt(tmp_path / file.name, file, cut(file))) as engine:
            assert engine.up().summary.resource_changes == {"same": 2}, file

    file = Path("backend/.pulumi/stacks/webstack/dev.json")
    with pytest.raises(CorruptStateError, match=r"dev\.json"), Engine(kept.spoilt(tmp_path / "state", file, cut(file))):
        pass


def test_what_the_engine_cannot_open_is_an_error_for_people(kept: Kept, tmp_path: Path) -> None:
    file = Path("backend/.pulumi/meta.yaml")
    with pytest.raises(LabError, match="The engine cannot open stack 'dev'"), Engine(kept.spoilt(tmp_path / "e", file, b"version: 99\n")):
        pass
