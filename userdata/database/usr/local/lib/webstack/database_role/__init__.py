"""What a database host runs: MySQL on its data volume, the agent that owns its role, and the role check that routing asks."""
