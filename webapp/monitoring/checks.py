"""System checks of what monitoring is told by the settings."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

TOKEN_LENGTH = 24


@register(Tags.security)
def metrics_are_closed_well(app_configs, **kwargs) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    token = settings.HILUM_METRICS_TOKEN
    if token and len(token) < TOKEN_LENGTH:
        hint = f"Use at least {TOKEN_LENGTH} random characters."
        found.append(Error("HILUM_METRICS_TOKEN is short enough to be guessed.", hint=hint, id="hilum.E012"))
    for network in settings.HILUM_METRICS_NETWORKS:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            hint = "Write networks like 10.20.0.0/16."
            found.append(
                Error(f"HILUM_METRICS_NETWORKS: {network} is no network.", hint=hint, id="hilum.E013")
            )
    return found


@register(Tags.compatibility)
def mail_has_a_sender(app_configs, **kwargs) -> list[CheckMessage]:
    if settings.HILUM_MAIL and settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        hint = "Set HILUM_MAIL_FROM to an address that the mail server lets through."
        return [Warning("Alarms are mailed from an address at localhost.", hint=hint, id="hilum.W014")]
    return []
