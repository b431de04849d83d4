"""Log groups of CloudWatch."""
