"""One folder for each service: `spec.yaml`, and modules with the classes that carry its types and functions out.

`registry.py` finds them; a module here imports nothing that asks the registry.
"""
