"""What hosts run: a tree for each role, and the rendering of what its hosts are told.

The Python packages in the trees can be imported here as they can on a host: the program renders the same models that hosts load.
"""

import sys
from pathlib import Path

sys.path.extend(sorted(str(path) for path in Path(__file__).parent.glob("*/usr/local/lib/webstack")))
