"""Validators of AE titles and networks, and the unique identifiers by which Hilum names itself."""

from __future__ import annotations

import ipaddress
import re

from django.core.exceptions import ValidationError

ANY_TITLE = "*"
# VR AE (PS3.5 section 6.2): at most 16 characters, no backslash; spaces around it have no meaning.
_TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
# Fixed, so that the same object received twice makes the same file.
IMPLEMENTATION_CLASS_UID = "2.25.187023512902450846123487906345210987123"
IMPLEMENTATION_VERSION_NAME = "HILUM"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def valid_title(value: str) -> None:
    """Validator of an application entity title; raises ValidationError."""
    if not _TITLE.fullmatch(value):
        raise ValidationError("An AE title has 1 to 16 printable ASCII characters and no backslash.")


def valid_networks(value: object) -> None:
    """Validator of a JSON list of networks in CIDR notation; raises ValidationError."""
    if not isinstance(value, list) or not value:
        raise ValidationError("Name at least one network, such as 10.20.0.0/16 or 192.0.2.7/32.")
    for text in value:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise ValidationError(f"{text} is not a network, such as 10.20.0.0/16.") from error


def default_modalities() -> list[str]:
    return ["CR", "DX"]


def valid_modalities(value: object) -> None:
    """Validator of a JSON list of modalities (VR CS); raises ValidationError."""
    if not isinstance(value, list) or not all(isinstance(one, str) and _CODE.fullmatch(one) for one in value):
        raise ValidationError("A list of modalities, such as CR and DX.")


def is_within(address: str, networks: list[str]) -> bool:
    """Whether an address lies in one of the networks; an IPv4 address mapped to IPv6 counts as IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in map(ipaddress.ip_network, networks))
