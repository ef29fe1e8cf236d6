"""Where a redirect may lead: not from the web into this machine or the network that it stands in.

A manifest comes from others, and so do the answers of the servers that it names. One that redirects
to ``http://169.254.169.254/`` or ``http://localhost:8080/`` would have this program ask, and save,
what only this machine may ask for. A URL of the manifest that names such a host itself is the
user's own choice.
"""

from __future__ import annotations

import ipaddress
import socket


def is_inside(host: str) -> bool:
    """Whether a host is this machine, or in a private, link-local or otherwise reserved network.

    A name that cannot be looked up here is not: a proxy may know it.
    """
    plain = host.strip("[]").partition("%")[0]
    try:
        return not _is_public(plain)
    except ValueError:  # a name, not an address
        pass
    try:
        addresses = socket.getaddrinfo(plain, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return False
    return any(not _is_public(str(address[0]).partition("%")[0]) for *_, address in addresses)


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    # ::ffff:127.0.0.1 is this machine, too
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global and not (mapped or address).is_multicast
