"""`webstack rotate`: other secrets for running hosts, step by step, so that each host accepts a new one before anyone uses it."""
