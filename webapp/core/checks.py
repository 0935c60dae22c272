"""System checks: what would cause trouble in operation, with an id and a hint."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from classifier.contract import ENGINES
from webapp.core.jobs.presence import missing_workers
from webapp.core.jobs.queues import Queue

Configs = Sequence[AppConfig] | None


@register(Tags.files)
def data_folder_is_writable(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    folder = Path(settings.HILUM_DATA)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        hint = "Make this user the owner of HILUM_DATA."
        return [Error("The data folder is not writable.", hint=hint, id="hilum.E001")]
    if settings.HILUM_ENV == "production" and folder.stat().st_mode & 0o007:
        hint = "chmod 750"
        return [
            Warning(
                "The data folder is accessible to every user of this machine.", hint=hint, id="hilum.W001"
            )
        ]
    return []


@register(Tags.security)
def secret_key_is_strong(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if len(settings.SECRET_KEY) < 40 or len(set(settings.SECRET_KEY)) < 10:
        return [Error("SECRET_KEY is too weak.", hint="Use at least 40 random characters.", id="hilum.E002")]
    return []


@register(Tags.security)
def hosts_are_named(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        hint = "List the host names of this installation."
        return [Error("ALLOWED_HOSTS accepts every host name.", hint=hint, id="hilum.E003")]
    return []


@register(Tags.files)
def artifacts_exist(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if not any(Path(settings.HILUM_ARTIFACTS).glob("*.safetensors")):
        hint = "Scans wait until an administrator promotes a model."
        return [Warning("No model artifact is installed.", hint=hint, id="hilum.W004")]
    return []


@register(Tags.compatibility)
def torch_stays_in_the_workers(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if "torch" in sys.modules and "worker.app" not in sys.modules:
        hint = "Only worker code may; see docs/architecture.md."
        return [Error("The web process has imported torch.", hint=hint, id="hilum.E005")]
    return []


@register(Tags.database)
def database_options_are_safe(
    app_configs: Configs, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    if connection.vendor != "sqlite":
        return []
    if connection.settings_dict["OPTIONS"].get("transaction_mode") != "IMMEDIATE":
        hint = "Do not change the database options in webapp.settings."
        return [
            Error(
                "SQLite without IMMEDIATE transactions deadlocks with several processes.",
                hint=hint,
                id="hilum.E006",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def proxy_is_configured(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if settings.HILUM_ENV == "production" and not settings.HILUM_TRUSTED_PROXIES:
        hint = "Set HILUM_TRUSTED_PROXIES to the number of proxies in front."
        return [
            Warning(
                "No TLS proxy is trusted: behind a proxy, requests are redirected to https in a loop.",
                hint=hint,
                id="hilum.W008",
            )
        ]
    return []


@register(Tags.security)
def sandbox_is_known(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if settings.HILUM_SANDBOX in ("strict", "degraded"):
        return []
    return [Error("HILUM_SANDBOX is neither strict nor degraded.", hint="Remove it.", id="hilum.E019")]


@register()
def engine_is_known(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if settings.HILUM_ENGINE in ENGINES:
        return []
    hint = f"Choose one of: {', '.join(ENGINES)}."
    return [Error("HILUM_ENGINE names no engine.", hint=hint, id="hilum.E022")]


@register(Tags.security, deploy=True)
def files_are_parsed_in_confinement(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    if settings.HILUM_ENV != "production" or settings.HILUM_SANDBOX == "strict":
        return []
    hint = "Use Linux 5.13 or later with Landlock, and remove HILUM_SANDBOX=degraded."
    return [Warning("Files may be parsed without confinement.", hint=hint, id="hilum.W018")]


@register("workers", deploy=True)
def workers_are_present(app_configs: Configs, **kwargs: Any) -> list[CheckMessage]:
    try:
        missing = missing_workers()
    except DatabaseError:
        return []  # not migrated yet, or unreachable: other checks report that
    if not missing:
        return []
    at_notify = dict.fromkeys((Queue.MONITOR, Queue.SEND, Queue.DICOM), "notify")
    parts = {Queue.CONTROL: "ingest", Queue.BACKUP: "ingest", **at_notify}
    names = sorted({parts.get(queue, queue.value) for queue in missing})
    hint = "Start each with `python -m worker NAME`."
    return [
        Warning(
            f"No worker has reported in the last 3 minutes for: {', '.join(names)}.",
            hint=hint,
            id="hilum.W015",
        )
    ]
