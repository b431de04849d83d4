"""The AWS services that the lab's users call."""

SERVICES = ("cloudwatch", "dynamodb", "ec2", "iam", "kms", "logs", "route53", "s3", "secretsmanager", "sns", "ssm", "sts")
"""Named by the prefix of their IAM actions, which is also the name of their endpoint in the AWS provider's configuration
(hashicorp/terraform-provider-aws, website/docs/guides/custom-service-endpoints.html.markdown)."""
