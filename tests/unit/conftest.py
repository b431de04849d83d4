"""An app that can be bundled, and the package index that has its wheel."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def bundle_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("WEBSTACK_CACHE", str(folder))
    return folder


def wheel() -> bytes:
    """A wheel of a package `greeting` with one module and one command."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {
            "greeting.py": "def main():\n    print('hello')\n",
            "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
            "greeting-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "greeting-1.0.dist-info/entry_points.txt": "[console_scripts]\ngreet = greeting:main\n",
            "greeting-1.0.dist-info/RECORD": "",
        }.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


WHEEL = wheel()
NAME = "greeting-1.0-py3-none-any.whl"


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    """An app that needs one wheel."""
    folder = tmp_path / "app"
    (folder / "pages").mkdir(parents=True)
    (folder / "wsgi.py").write_text("app = None\n")
    (folder / "pages" / "index.html").write_text("<h1>Hello</h1>\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o775)
    (folder / "requirements.lock").write_text(f"greeting==1.0 \\\n    --hash=sha256:{hashlib.sha256(WHEEL).hexdigest()}\n")
    return folder


@pytest.fixture
def wheel_index(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A package index that holds the wheel; the locks it was asked for."""
    asked: list[Path] = []

    def download(lock: Path, folder: Path) -> list[Path]:
        asked.append(lock)
        (folder / NAME).write_bytes(WHEEL)
        return [folder / NAME]

    monkeypatch.setattr("stack.bundles.download_wheels", download)
    return asked
