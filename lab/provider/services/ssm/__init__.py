"""Parameters of Systems Manager (only read)."""
