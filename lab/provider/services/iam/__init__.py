"""IAM roles, their policies, instance profiles."""
