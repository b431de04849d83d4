"""Puts the database hosts' programs on the path, as their script does on a host."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
for tree in ("common", "database"):
    sys.path.insert(0, str(ROOT / "userdata" / tree / "usr/local/lib/webstack"))
