"""What pod.bash and the scripts that describe a pod must agree on."""

# The container's address for all that connects from outside. It is not a loopback address, so a listener on 127.0.0.1
# does not answer there. RFC 5737 reserves it for documentation.
ADDRESS = "192.0.2.2"
