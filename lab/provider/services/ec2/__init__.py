"""Instances, volumes, availability zones."""
