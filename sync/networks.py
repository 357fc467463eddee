"""Which addresses count as one host, where a stranger is slowed down, locked out or cut off. No I/O."""

from __future__ import annotations

import ipaddress


def network_of(address: str) -> str:
    """An IPv4 address, or the /64 that one IPv6 subscriber has; of any other text 64 characters."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
