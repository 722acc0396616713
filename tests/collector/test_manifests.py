"""The Kubernetes manifests hold together: configurations, the variables they read, the names they refer to."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.collector.collector import CONFIGS

FOLDER = CONFIGS / "kubernetes"
NAMES = ("agent", "gateway")


def objects(name: str) -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for item in yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())}


def workload(name: str) -> dict[str, Any]:
    found = objects(name)
    return found.get("DaemonSet") or found["StatefulSet"]


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_is_the_tested_one(name: str) -> None:
    assert objects(name)["ConfigMap"]["data"]["config.yaml"] == (CONFIGS / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_set_is_read_and_none_without_a_safe_default_is_left_out(name: str) -> None:
    read = set(re.findall(r"\$\{env:([A-Z_]+)", (CONFIGS / f"{name}.yaml").read_text()))
    (container,) = workload(name)["spec"]["template"]["spec"]["containers"]
    given = {variable["name"] for variable in container["env"]}
    assert given - read == {"GOMEMLIMIT"}
    assert {"QUEUE_DIR", "RECEIVER_KEY"} <= given


@pytest.mark.parametrize("name", NAMES)
def test_names_labels_ports_and_volumes_refer_to_each_other(name: str) -> None:
    found = objects(name)
    spec = workload(name)["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    config = next(volume for volume in pod["volumes"] if volume["name"] == "config")
    assert config["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    ports = {port["name"] for port in container["ports"]}
    assert container["readinessProbe"]["httpGet"]["port"] in ports
    if "Service" in found:
        assert found["Service"]["spec"]["selector"] == labels
        assert {port["targetPort"] for port in found["Service"]["spec"]["ports"]} <= ports
        assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


@pytest.mark.parametrize("name", NAMES)
def test_nothing_runs_with_more_rights_than_it_needs(name: str) -> None:
    pod = workload(name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    security = pod["securityContext"] | container["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"]["drop"] == ["ALL"]
    assert pod["automountServiceAccountToken"] is False
    assert container["resources"]["limits"]["memory"]


def test_the_agent_finds_the_gateway() -> None:
    service = objects("gateway")["Service"]
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    (container,) = workload("agent")["spec"]["template"]["spec"]["containers"]
    given = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert given["RECEIVER_ENDPOINT"] == f"{address}:{service['spec']['ports'][0]['port']}"
