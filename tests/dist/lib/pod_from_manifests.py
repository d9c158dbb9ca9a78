"""Checks a Deployment of logout-gateway and the objects around it, and describes its pod for pod.bash.

Usage: pod_from_manifests.py <manifests.yaml> <secrets> <pod>
<secrets> is a directory with the values of an existing Secret, by their keys. <pod> is the directory to write: see
pod.py.
"""

import os
import pathlib
import re
import sys

import yaml

from pod import ADDRESS, MIB, check, check_memory, write_lines

manifests, secrets, pod = (pathlib.Path(argument) for argument in sys.argv[1:])
objects = [document for document in yaml.safe_load_all(manifests.read_text()) if document]


def of_kind(kind):
    return [each for each in objects if each["kind"] == kind]


[deployment] = of_kind("Deployment")
template = deployment["spec"]["template"]
spec = template["spec"]
[container] = spec["containers"]
ports = {port["name"]: port["containerPort"] for port in container["ports"]}
labels = template["metadata"]["labels"]


def check_selects_pod(selector, what):
    check(selector.items() <= labels.items(), f"{what} does not select the pods")


check_selects_pod(deployment["spec"]["selector"]["matchLabels"], "the Deployment")
for each in of_kind("PodDisruptionBudget"):
    check_selects_pod(each["spec"]["selector"]["matchLabels"], "the PodDisruptionBudget")
for each in of_kind("NetworkPolicy"):
    check_selects_pod(each["spec"]["podSelector"]["matchLabels"], "the NetworkPolicy")
    named = {port["port"] for rule in each["spec"]["ingress"] for port in rule["ports"]}
    check(named <= ports.keys(), "the NetworkPolicy names a port that the container lacks")
for each in of_kind("Service"):
    check_selects_pod(each["spec"]["selector"], f"the Service {each['metadata']['name']}")
    for port in each["spec"]["ports"]:
        check(port["targetPort"] in ports, "a Service names a port that the container lacks")

# The settings, as the kubelet puts them into the environment.
config_maps = {each["metadata"]["name"]: each["data"] for each in of_kind("ConfigMap")}
env = {}
for source in container["envFrom"]:
    env |= config_maps[source["configMapRef"]["name"]]
env |= {each["name"]: each["value"] for each in container["env"]}
check(env["GATEWAY_BIND"].endswith(f":{ports['http']}"), "GATEWAY_BIND has another port than the container")
check(env["GATEWAY_ADMIN_BIND"].endswith(f":{ports['admin']}"), "GATEWAY_ADMIN_BIND has another port than the container")

# A stop: the hook, the running requests, and some seconds for traces.
drain = int(re.fullmatch(r"(\d+)s", env["GATEWAY_DRAIN_TIMEOUT"])[1])
hook = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
check(spec["terminationGracePeriodSeconds"] >= hook + drain + 2, "the pod is killed before the gateway has stopped")

limit = int(re.fullmatch(r"(\d+)Mi", container["resources"]["limits"]["memory"])[1]) * MIB
check_memory(limit, env)

# The hardening.
check(spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile")
check(spec["securityContext"]["runAsUser"] == 65532 and spec["securityContext"]["runAsNonRoot"], "the user is not 65532")
check(container["securityContext"]["readOnlyRootFilesystem"], "the root is not read-only")
check(container["securityContext"]["capabilities"]["drop"] == ["ALL"], "capabilities are left")
check(container["securityContext"]["allowPrivilegeEscalation"] is False, "privileges can grow")
check(spec["automountServiceAccountToken"] is False, "the pod has a token of its service account")

# Secrets are files, and no secret is a value in the manifest of the Deployment.
volumes = {volume["name"]: volume for volume in spec["volumes"]}
mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
source = volumes["secrets"]["secret"]
made = {each["metadata"]["name"]: each["stringData"] for each in of_kind("Secret")}
for item in source["items"]:
    values = made.get(source["secretName"])
    value = values[item["key"]] if values else (secrets / item["key"]).read_text()
    path = pod / "root" / f"{mounts['secrets']}/{item['path']}".lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value)
    # As fsGroup and defaultMode have the kubelet do it.
    os.chown(path, 0, spec["securityContext"]["fsGroup"])
    path.chmod(source["defaultMode"])
    check(value not in str(deployment), f"the Deployment has the value of {item['key']}")

urls = [f"http://{ADDRESS}:{ports[get['port']]}{get['path']}" for get in (
    container["livenessProbe"]["httpGet"], container["readinessProbe"]["httpGet"])]
for each in of_kind("ServiceMonitor"):
    selector = each["spec"]["selector"]["matchLabels"]
    [service] = [it for it in of_kind("Service") if selector.items() <= it["metadata"]["labels"].items()]
    check(service["metadata"]["labels"][each["spec"]["jobLabel"]] == "logout-gateway", "the job has another name")
    [endpoint] = each["spec"]["endpoints"]
    [port] = [port for port in service["spec"]["ports"] if port["name"] == endpoint["port"]]
    urls.append(f"http://{ADDRESS}:{ports[port['targetPort']]}{endpoint['path']}")
routes = [
    f"http://{ADDRESS}:{ports['http']}{path['path']}"
    for each in of_kind("Ingress") for rule in each["spec"]["rules"] for path in rule["http"]["paths"]
]

write_lines(pod / "env", [f"{name}={value}" for name, value in env.items()])
write_lines(pod / "args", container["args"])
write_lines(pod / "urls", urls)
write_lines(pod / "routes", routes)
write_lines(pod / "public", [f"http://{ADDRESS}:{ports['http']}"])
if "store" in volumes:
    write_lines(pod / "volume", [mounts["store"]])
