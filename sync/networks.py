"""Which addresses count as one host when strangers are slowed down, locked out or cut off. No I/O."""

from __future__ import annotations

import ipaddress


def network_of(address: str, *, wide: bool = False) -> str:
    """An IPv4 address, or the /64 of one IPv6 subscriber; of any other text, the first 64 characters.

    `wide`: the surrounding /24 or /48.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 48 if wide else 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, 24), strict=False)) if wide else str(parsed)
