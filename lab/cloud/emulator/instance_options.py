"""Attributes of instances that moto does not keep: CPU credits, monitoring, enclaves, the groups of the interface."""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.monitoring import Monitoring

from lab.cloud.emulator.patching import add, ec2_error, original, replace


def install() -> None:
    """Patches reading and changing these attributes. Must come after `launch`, whose RunInstances it calls."""
    run = original(InstanceResponse, "run_instances")
    describe = original(InstanceResponse, "describe_instance_attribute")

    def run_with_options(response: Any) -> Any:
        answer = _run_with_credits(response, run)
        for instance in answer.result.instances:
            instance.enclave_options = {"Enabled": response._get_param("EnclaveOptions.Enabled") in (True, "true")}
        return answer

    def describe_attribute(response: Any) -> Any:
        return _describe_enclaves(response) if response._get_param("Attribute") == "enclaveOptions" else describe(response)

    replace(InstanceResponse, "run_instances", run_with_options)
    replace(InstanceResponse, "describe_instance_attribute", describe_attribute)
    replace(InstanceResponse, "describe_instance_credit_specifications", _describe_credits)
    add(InstanceResponse, "modify_instance_credit_specification", _modify_credits)
    replace(Monitoring, "monitor_instances", _monitor("enabled"))
    replace(Monitoring, "unmonitor_instances", _monitor("disabled"))
    add(Instance, "enclave_options", {"Enabled": False})
    add(Instance, "security_groups", property(_groups, _set_groups))


def _run_with_credits(response: Any, run: Callable[[Any], Any]) -> Any:
    """Applies RunInstances's CreditSpecification; the default is `standard` for T2 and `unlimited` for later families.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html
    """
    asked: str | None = response._get_param("CreditSpecification.CpuCredits")
    answer = run(response)
    for instance in answer.result.instances:
        if asked and not _burstable(instance):
            continue  # AWS ignores options that a type does not have
        instance.cpu_credits = asked or ("standard" if instance.instance_type.startswith("t2.") else "unlimited")
    return answer


def _describe_enclaves(response: Any) -> Any:
    """Returns whether enclaves are enabled. Only RunInstances sets this; DescribeInstances shows it too.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceAttribute.html
    """
    instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
    return ActionResult({"InstanceId": instance.id, "EnclaveOptions": instance.enclave_options})


def _describe_credits(response: Any) -> Any:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceCreditSpecifications.html"""
    asked = response._get_param("InstanceIds", [])
    found = response.ec2_backend.describe_instance_credit_specifications(asked)
    for instance in found if asked else ():
        _require_burstable(instance)
    shown = [{"InstanceId": instance.id, "CpuCredits": _credits(instance)} for instance in found if _burstable(instance)]
    return ActionResult({"InstanceCreditSpecifications": shown})


def _modify_credits(response: Any) -> Any:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceCreditSpecification.html"""
    changed: list[dict[str, str]] = []
    for wanted in response._get_param("InstanceCreditSpecifications", []):
        instance = response.ec2_backend.get_instance(wanted["InstanceId"])
        _require_burstable(instance)
        if wanted.get("CpuCredits") not in ("standard", "unlimited"):
            raise ec2_error("InvalidParameterValue", f"Value ({wanted.get('CpuCredits')}) for parameter CpuCredits is invalid.")
        instance.cpu_credits = wanted["CpuCredits"]
        changed.append({"InstanceId": instance.id})
    return ActionResult({"SuccessfulInstanceCreditSpecifications": changed, "UnsuccessfulInstanceCreditSpecifications": []})


def _credits(instance: Any) -> str:
    return str(getattr(instance, "cpu_credits", "standard"))


def _burstable(instance: Any) -> bool:
    return bool(INSTANCE_TYPES.get(instance.instance_type, {}).get("BurstablePerformanceSupported"))


def _require_burstable(instance: Any) -> None:
    if not _burstable(instance):
        message = f"The credit specification is not supported for instance type {instance.instance_type}"
        raise ec2_error("InstanceCreditSpecification.NotSupported", message)


def _monitor(state: str) -> Any:
    def call(response: Any) -> Any:
        told: list[dict[str, Any]] = []
        for instance in response.ec2_backend.get_multi_instances_by_id(response._get_param("InstanceIds", [])):
            instance.monitoring_state = state
            told.append({"InstanceId": instance.id, "Monitoring": {"State": state}})
        return ActionResult({"InstanceMonitorings": told})

    return call


def _groups(instance: Any) -> list[Any]:
    """Returns the primary interface's groups, as DescribeInstances does; moto shows only those given outside the interface at launch.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html
    """
    primary = getattr(instance, "nics", {}).get(0)
    return list(primary._group_set) if primary is not None else list(instance.__dict__.get("launch_groups", []))


def _set_groups(instance: Any, groups: list[Any]) -> None:
    primary = getattr(instance, "nics", {}).get(0)
    if primary is not None:
        primary._group_set = list(groups)
    instance.__dict__["launch_groups"] = list(groups)
