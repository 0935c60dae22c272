"""System checks: what would hurt in operation is said at the start, with an id and a remedy."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection


@register(Tags.files)
def data_folder_is_ours(app_configs, **kwargs) -> list[CheckMessage]:
    folder = Path(settings.HILUM_DATA)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return [
            Error("The data folder cannot be written.", hint="Give HILUM_DATA to this user.", id="hilum.E001")
        ]
    if settings.HILUM_ENV == "production" and folder.stat().st_mode & 0o007:
        return [
            Warning("Everybody on this machine can enter the data folder.", hint="chmod 750", id="hilum.W001")
        ]
    return []


@register(Tags.security)
def secret_key_is_strong(app_configs, **kwargs) -> list[CheckMessage]:
    if len(settings.SECRET_KEY) < 40 or len(set(settings.SECRET_KEY)) < 10:
        return [
            Error(
                "SECRET_KEY is short enough to be guessed.",
                hint="Use at least 40 random characters.",
                id="hilum.E002",
            )
        ]
    return []


@register(Tags.security)
def hosts_are_named(app_configs, **kwargs) -> list[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        return [Error("ALLOWED_HOSTS lets every host name in.", hint="Name the site's own.", id="hilum.E003")]
    return []


@register(Tags.files)
def artifacts_are_there(app_configs, **kwargs) -> list[CheckMessage]:
    if not any(Path(settings.HILUM_ARTIFACTS).glob("*.safetensors")):
        return [
            Warning(
                "No model artifact is shipped with this copy.",
                hint="Scans wait until an administrator promotes a model.",
                id="hilum.W004",
            )
        ]
    return []


@register(Tags.compatibility)
def torch_stays_in_the_workers(app_configs, **kwargs) -> list[CheckMessage]:
    if "torch" in sys.modules and "worker.app" not in sys.modules:
        return [
            Error(
                "The web process has imported torch.",
                hint="Only worker code may; see docs/architecture.md.",
                id="hilum.E005",
            )
        ]
    return []


@register(Tags.database)
def database_options_are_safe(app_configs, databases=None, **kwargs) -> list[CheckMessage]:
    if connection.vendor != "sqlite":
        return []
    if connection.settings_dict["OPTIONS"].get("transaction_mode") != "IMMEDIATE":
        return [
            Error(
                "SQLite without IMMEDIATE transactions locks up under several processes.",
                hint="Leave the database options of webapp.settings as they are.",
                id="hilum.E006",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def a_proxy_is_expected(app_configs, **kwargs) -> list[CheckMessage]:
    if settings.HILUM_ENV == "production" and not settings.HILUM_TRUSTED_PROXIES:
        return [
            Warning(
                "No TLS proxy is trusted: behind one, every request would be sent to https for ever.",
                hint="Set HILUM_TRUSTED_PROXIES to the number of proxies in front.",
                id="hilum.W008",
            )
        ]
    return []
