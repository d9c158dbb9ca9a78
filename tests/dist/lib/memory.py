"""The memory that clients can take, by docs/sizing.md."""

MIB = 1024 * 1024


def worst_case(env):
    """Bytes of the process and of the kernel, with the limits of these environment variables."""
    head = int(env["GATEWAY_MAX_HEADER_BYTES"])
    process = (
        int(env["GATEWAY_MAX_CONNECTIONS"]) * (2 * head + 64 * 1024)
        + int(env["GATEWAY_MAX_IN_FLIGHT"]) * (4 * head + 64 * 1024)
        + 30 * MIB
    )
    return process + int(env["GATEWAY_MAX_CONNECTIONS"]) * 96 * 1024
