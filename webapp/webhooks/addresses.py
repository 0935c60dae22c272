"""Where events may be sent: https to public hosts, else only to networks that the settings name.

Every address that a name resolves to is checked on each delivery, and the connection is made to a checked
address, so DNS rebinding gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from webapp.core.errors import CodedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Translated to IPv4 (RFC 6052, 8215), site-local (RFC 3879), IPv4-compatible (RFC 4291): what they reach
# depends on the server's own network.
LOCAL_MEANING = [
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "fec0::/10", "::/96")
]
PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Target:
    """An address taken apart; `path` carries the query."""

    scheme: str
    host: str
    port: int
    path: str


class AddressRefused(Exception):
    """Nothing may be sent there."""


def target_of(url: str) -> Target:
    """Read an address; raises CodedError `webhook_address_refused` for one that can never be sent to."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise CodedError("webhook_address_refused") from error
    host = parts.hostname or ""
    plain = url.isascii() and url.isprintable() and " " not in url
    if not (plain and host and port) or parts.username or parts.password or parts.fragment:
        raise CodedError("webhook_address_refused")
    literal = _literal(host)
    loopback = host == "localhost" or (literal is not None and literal.is_loopback)
    if parts.scheme != "https" and (settings.PRODUCTION or not loopback):
        raise CodedError("webhook_address_refused")
    if (literal is not None and not allowed(literal)) or (host == "localhost" and settings.PRODUCTION):
        raise CodedError("webhook_address_refused")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def host_target(host: str, port: int) -> Target:
    """Read a host and port; raises CodedError `webhook_address_refused` for what can never be sent to."""
    literal = _literal(host)
    plain = host.isascii() and re.fullmatch(r"[\w.:-]+", host)
    if not plain or (literal is not None and not allowed(literal)):
        raise CodedError("webhook_address_refused")
    if host == "localhost" and settings.PRODUCTION:
        raise CodedError("webhook_address_refused")
    return Target("tcp", host, port, "")


def resolve_private(target: Target) -> str:
    """As `resolve`, for a connection without TLS: no public address may be on the way."""
    address = resolve(target)
    if ipaddress.ip_address(address.split("%")[0]).is_global:
        raise AddressRefused
    return address


def resolve(target: Target) -> str:
    """An address of the host to connect to, each of which is allowed; raises AddressRefused, OSError."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = [entry[4][0] for entry in found]
    for address in addresses:
        if not allowed(ipaddress.ip_address(address.split("%")[0])):
            raise AddressRefused
    return addresses[0]


def allowed(address: Address) -> bool:
    """Whether the address is public, or named by HILUM_WEBHOOK_NETWORKS, or loopback outside production."""
    address = getattr(address, "ipv4_mapped", None) or address
    networks = [ipaddress.ip_network(text.strip()) for text in settings.HILUM_WEBHOOK_NETWORKS]
    if any(address.version == network.version and address in network for network in networks):
        return True
    if address.is_loopback:
        return not settings.PRODUCTION
    tunnelled = address.version == 6 and (address.sixtofour or address.teredo)
    if tunnelled or any(address in network for network in LOCAL_MEANING):
        return False
    return address.is_global and not address.is_multicast


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
