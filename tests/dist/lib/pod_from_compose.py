"""Checks the Compose file of logout-gateway, and describes its container for pod.bash.

Usage: pod_from_compose.py <folder> <file> <pod>
<folder> is that of the stack, with its .env and secrets. <pod> is the directory to write: see pod.py.
"""

import os
import pathlib
import re
import shutil
import sys

import yaml

from pod import ADDRESS, MIB, check, check_memory, write_lines

folder, file, pod = (pathlib.Path(argument) for argument in sys.argv[1:])
variables = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())


def value_of(match):
    name, operator, word = match["name"], match["operator"], match["word"]
    check(variables.get(name) or operator == ":-", f"{name} {word}")
    return variables.get(name) or word


def interpolated(text):
    """Replaces ${NAME:-default} and ${NAME:?message}, as Compose does."""
    return re.sub(r"\$\{(?P<name>\w+)(?P<operator>:[-?])(?P<word>[^}]*)\}", value_of, text)


compose = yaml.safe_load(interpolated(file.read_text()))
service = compose["services"]["logout-gateway"]
check(service["user"] == "65532:65532", "the user is not 65532")
check(service["read_only"] is True, "the root is not read-only")
check(service["cap_drop"] == ["ALL"], "capabilities are left")
check(service["security_opt"] == ["no-new-privileges:true"], "privileges can grow")

env = {name: "" if value is None else str(value) for name, value in service["environment"].items()}
limit = int(re.fullmatch(r"(\d+)m", service["mem_limit"])[1]) * MIB
check_memory(limit, env)

for name in service["secrets"]:
    source = folder / compose["secrets"][name]["file"]
    target = pod / "root/run/secrets" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    # A bind mount: the container sees the file's owner and mode.
    shutil.copy2(source, target)
    os.chown(target, source.stat().st_uid, source.stat().st_gid)
    check(source.read_text().strip() not in file.read_text(), f"the file has the value of {name}")

published = {}
for port in service["ports"]:
    host, host_port, container_port = port.split(":")
    check(host == "127.0.0.1", f"port {host_port} is open to other machines")
    published[host_port] = f"http://{ADDRESS}:{container_port}"
[volume] = service["volumes"]
name, mount = volume.split(":")
check(name in compose["volumes"], "the volume is not a named one")
[kind, program, *health] = service["healthcheck"]["test"]
check([kind, program] == ["CMD", "logout-gateway"], "the health check needs a shell, or another program")
check(service["stop_grace_period"] == "20s", "the container is killed before the gateway has stopped")

write_lines(pod / "env", [f"{name}={value}" for name, value in env.items()])
write_lines(pod / "args", ["serve"])
write_lines(pod / "health", health)
# Through the published ports, from outside the container.
write_lines(pod / "urls", [f"{published['8080']}/readyz", f"{published['9090']}/", f"{published['9090']}/metrics"])
write_lines(pod / "routes", [])
write_lines(pod / "public", [published["8080"]])
write_lines(pod / "volume", [mount])
