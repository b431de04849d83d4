"""Shared by all roles' hosts: parameters, AWS, files, programs, readiness. Runs on Debian 13's Python with python3-boto3."""
