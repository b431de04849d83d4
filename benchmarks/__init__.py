"""Measurements: printed, kept as JSON, never asserted. `python -m benchmarks --help` lists them."""
