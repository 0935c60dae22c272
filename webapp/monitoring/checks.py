"""System checks of the monitoring settings."""

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
        found.append(Error("HILUM_METRICS_TOKEN is too short.", hint=hint, id="hilum.E012"))
    for network in settings.HILUM_METRICS_NETWORKS:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            hint = "Use CIDR notation, such as 10.20.0.0/16."
            found.append(
                Error(f"HILUM_METRICS_NETWORKS: {network} is not a network.", hint=hint, id="hilum.E013")
            )
    return found


@register(Tags.compatibility)
def mail_has_a_sender(app_configs, **kwargs) -> list[CheckMessage]:
    if settings.HILUM_MAIL and settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        hint = "Set HILUM_MAIL_FROM to an address that the mail server accepts."
        return [Warning("Alarm e-mails have a sender address at localhost.", hint=hint, id="hilum.W014")]
    return []
