"""Buckets, their settings, objects."""
