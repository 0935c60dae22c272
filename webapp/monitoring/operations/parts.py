"""The parts that Hilum runs on, as they are now: workers, disk, store, broker, certificate."""

from __future__ import annotations

import os
import shutil
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis
from cryptography import x509
from django.conf import settings
from django.db import Error, connection
from django.db.models import Count
from django.utils import timezone

from webapp.core import storage
from webapp.core.jobs.table import job_tables
from webapp.core.models import WorkerPresence

BROKER_SECONDS = 1.0
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Disk:
    free: int
    total: int
    floor: int


def disk() -> Disk:
    """The disk of HILUM_DATA, in bytes."""
    use = shutil.disk_usage(settings.HILUM_DATA)
    return Disk(free=use.free, total=use.total, floor=settings.HILUM_DISK_FLOOR)


def database_is_up() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def store_is_there() -> bool:
    """Whether the folder of stored files can be read and written; nothing is written to find out."""
    root = storage.root()
    folder = root if root.exists() else settings.HILUM_DATA
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def broker_is_up() -> bool:
    """Whether messages can be sent; without it workers still look into the job table every few seconds."""
    if not settings.REDIS_URL:
        return os.access(settings.HILUM_DATA, os.W_OK)
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=BROKER_SECONDS, socket_timeout=BROKER_SECONDS
    )
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()


def certificate_expiry() -> datetime | None:
    """When the certificate of the DICOM listener ends; None without one, or for a file that holds none."""
    path = settings.DICOM_TLS_CERTIFICATE
    if not path:
        return None
    try:
        return x509.load_pem_x509_certificate(Path(path).read_bytes()).not_valid_after_utc.astimezone(UTC)
    except (OSError, ValueError, ssl.SSLError):
        return None


def workers() -> list[WorkerPresence]:
    """Every worker that reported within the last day."""
    since = timezone.now() - DAY
    return list(WorkerPresence.objects.filter(seen_at__gte=since).order_by("queue", "node"))


def failures_today() -> dict[str, int]:
    """Jobs that failed within the last day, by queue."""
    since, counts = timezone.now() - DAY, dict[str, int]()
    for table in job_tables():
        rows = table.objects.filter(status=table.TRANSITIONS.failed, finished_at__gte=since)
        found = rows.aggregate(n=Count("pk"))["n"]
        counts[table.QUEUE] = counts.get(table.QUEUE, 0) + found
    return counts
