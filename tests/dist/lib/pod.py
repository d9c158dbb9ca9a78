"""What pod_from_compose.py and pod_from_manifests.py share. They describe a pod to pod.bash, in the files of a directory:

env, args       the gateway's environment variables and arguments, one a line
public          the URL of the public listener
urls            URLs that must answer 200
routes          URLs whose routes must exist
health          the arguments of the health check, if there is one
volume          the path of the store's volume, if there is one
root/           the container's files: the secrets
"""

import sys

# The container's address, for all that connects from outside: pod.bash adds it. It is not a loopback address, so a
# listener on 127.0.0.1 does not answer there. RFC 5737 reserves it for documentation.
ADDRESS = "192.0.2.2"

MIB = 1024 * 1024


def worst_case_memory(env):
    """Bytes of the process and of the kernel that clients can take with these environment variables: docs/sizing.md."""
    head = int(env["GATEWAY_MAX_HEADER_BYTES"])
    process = (
        int(env["GATEWAY_MAX_CONNECTIONS"]) * (2 * head + 64 * 1024)
        + int(env["GATEWAY_MAX_IN_FLIGHT"]) * (4 * head + 64 * 1024)
        + 30 * MIB
    )
    return process + int(env["GATEWAY_MAX_CONNECTIONS"]) * 96 * 1024


def check(condition, message):
    if not condition:
        sys.exit(f"{' '.join(sys.argv)}: {message}")


def check_memory(limit, env):
    worst_case = worst_case_memory(env)
    check(limit >= worst_case, f"the memory limit is {limit}, and clients can take {worst_case}")


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))
