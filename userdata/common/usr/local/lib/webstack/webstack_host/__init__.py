"""What the roles of all hosts share: parameters, AWS, files, programs, readiness. Runs on Debian 13's Python with python3-boto3."""
