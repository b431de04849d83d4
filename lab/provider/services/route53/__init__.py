"""Hosted zones and records."""
