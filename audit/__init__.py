"""What scanners find in the applied stacks, each finding held against one reviewed file: `make audit`."""
