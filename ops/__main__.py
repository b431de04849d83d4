"""`python -m ops` is `webstack`."""

from ops.cli import main

main()
