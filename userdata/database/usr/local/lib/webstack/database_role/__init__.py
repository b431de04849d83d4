"""A database host: MySQL on its data volume, the agent that controls its role, and the role check that routing uses."""
