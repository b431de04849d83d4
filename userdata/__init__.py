"""What hosts run: one tree per role, and the rendering of its hosts' user data and configuration.

The Python packages in the trees can be imported here as on a host: the program renders the same dataclasses that hosts load.
"""

import sys
from pathlib import Path

sys.path.extend(sorted(str(path) for path in Path(__file__).parent.glob("*/usr/local/lib/webstack")))
