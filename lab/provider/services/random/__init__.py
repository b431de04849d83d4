"""The `random` package: values made once and kept in the state."""
