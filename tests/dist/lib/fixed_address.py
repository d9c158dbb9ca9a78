"""Checks that Docker cannot give the fixed address of a Compose file's proxy to another container.

Usage: fixed_address.py <file>
"""

import ipaddress
import sys

import yaml

from pod import check

with open(sys.argv[1]) as text:
    file = yaml.safe_load(text)
[pool] = file["networks"]["default"]["ipam"]["config"]
address = ipaddress.ip_address(file["services"]["proxy"]["networks"]["default"]["ipv4_address"])
subnet, chosen = (ipaddress.ip_network(pool[name]) for name in ("subnet", "ip_range"))
check(chosen.subnet_of(subnet), "ip_range is a part of the subnet")
check(address in subnet and address not in chosen, "the proxy's address is in the subnet, but not in ip_range")
# A container can have neither address: they are the network's own and that of broadcasts.
check(address not in (subnet[0], subnet[-1]), "the proxy's address is one that a container can have")
