"""Environment variables: read once, typed, with safe defaults."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import tomllib
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent.parent
LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"]


class Mode(StrEnum):
    """How Hilum runs; everything but `production` is asked for by name."""

    PRODUCTION = "production"
    DEMO = "demo"
    DEVELOPMENT = "development"
    TEST = "test"


env = environ.Env(
    HILUM_ENV=(str, Mode.PRODUCTION.value),
    HILUM_DATA=(str, ""),
    HILUM_STATIC_ROOT=(str, ""),
    HILUM_TRUSTED_PROXIES=(int, 0),
    HILUM_DEMO_PASSWORD=(str, ""),
    HILUM_LOG_LEVEL=(str, "INFO"),
    HILUM_SANDBOX=(str, ""),
    HILUM_DEVICE=(str, "auto"),
    HILUM_PRECISION=(str, "fp32"),
    HILUM_ENGINE=(str, ""),
    HILUM_BATCH=(int, 8),
    HILUM_MAX_ARCHIVE_BYTES=(int, 1 << 30),
    HILUM_DATA_SETS=(list, []),
    HILUM_BACKUP_FOLDER=(str, ""),
    HILUM_BACKUP_HOURS=(int, 24),
    HILUM_BACKUP_KEEP=(int, 14),
    HILUM_BACKUP_PASSPHRASE=(str, ""),
    HILUM_DISK_FLOOR=(int, 1 << 30),
    HILUM_MAX_WAITING=(int, 20_000),
    HILUM_SIGN_IN_FAILURES_PER_ADDRESS=(int, 30),
    HILUM_SIGN_IN_FAILURES_PER_ACCOUNT=(int, 30),
    HILUM_SESSION_HOURS=(int, 12),
    HILUM_SESSION_IDLE_MINUTES=(int, 60),
    HILUM_SITE_UPLOADS=(dict, {}),
    HILUM_USER_UPLOADS=(int, 0),
    HILUM_PAGE_RATE=(int, 1200),
    HILUM_CONFIRM_MINUTES=(int, 30),
    DICOM_BIND=(str, "127.0.0.1"),
    DICOM_PORT=(int, 11112),
    DICOM_AE_TITLE=(str, "HILUM"),
    DICOM_MAX_ASSOCIATIONS=(int, 16),
    DICOM_TLS_CERTIFICATE=(str, ""),
    DICOM_TLS_KEY=(str, ""),
    DICOM_TLS_CA=(str, ""),
    DICOM_CREDENTIALS=(dict, {}),
    HILUM_API_RATE=(int, 600),
    HILUM_WEBHOOK_NETWORKS=(list, []),
    HILUM_WEBHOOK_CA_FILE=(str, ""),
    HILUM_RESULT_CREDENTIALS=(dict, {}),
    HILUM_RESULT_TLS_CERTIFICATE=(str, ""),
    HILUM_RESULT_TLS_KEY=(str, ""),
    HILUM_DRIFT_BASELINE=(int, 500),
    HILUM_METRICS_TOKEN=(str, ""),
    HILUM_METRICS_NETWORKS=(list, []),
    HILUM_MAIL_FROM=(str, ""),
    EMAIL_URL=(str, ""),
    SECRET_KEY=(str, ""),
    SECRET_KEY_FALLBACKS=(list, []),
    AUDIT_KEYS=(list, []),
    WEBHOOK_KEYS=(list, []),
    DEIDENTIFY_KEY=(str, ""),
    DEIDENTIFY_ON_INGEST=(bool, False),
    ALLOWED_HOSTS=(list, []),
    CSRF_TRUSTED_ORIGINS=(list, []),
    DATABASE_URL=(str, ""),
    REDIS_URL=(str, ""),
    REDIS_PASSWORD=(str, ""),
)


_SECRET = re.compile(r"(KEYS?|SECRET|PASSWORD|TOKEN|CREDENTIALS|EMAIL_URL)$")
# Of the host that they stand on, or paths.
_NOT_SEALED = {"REDIS_PASSWORD", "HILUM_RESULT_TLS_KEY", "DICOM_TLS_KEY"}


def secret_variables() -> dict[str, str]:
    """The variables with secrets as they are set, by name; a backup seals them."""
    names = [name for name in env.scheme if _SECRET.search(name) and name not in _NOT_SEALED]
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def process_environment(more: dict[str, str]) -> dict[str, str]:
    """The environment for a program that is started: that of this process, and more."""
    return os.environ | more


def version() -> str:
    """The program's version, which stands in pyproject.toml only."""
    return tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]


def mode() -> Mode:
    """Read HILUM_ENV; raises ImproperlyConfigured when it names no known mode."""
    try:
        return Mode(env("HILUM_ENV"))
    except ValueError as error:
        known = ", ".join(Mode)
        raise ImproperlyConfigured(f"HILUM_ENV must be one of: {known}") from error


def data_folder() -> Path:
    """The folder of all state, made readable by its owner only when it is new."""
    folder = Path(env("HILUM_DATA") or BASE_DIR / "var").expanduser().absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def required(name: str, mode: Mode) -> str:
    """The variable's text; raises ImproperlyConfigured when production leaves it out."""
    value = env(name)
    if not value and mode is Mode.PRODUCTION:
        raise ImproperlyConfigured(f"{name} must be set in production (HILUM_ENV={mode})")
    return value


def redis_url() -> str:
    """REDIS_URL, with REDIS_PASSWORD quoted into it unless it has a password of its own."""
    url, password = env("REDIS_URL"), env("REDIS_PASSWORD")
    parts = urlsplit(url)
    if not url or not password or parts.password:
        return url
    user = parts.username or ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def secret_key(mode: Mode, data: Path) -> str:
    """SECRET_KEY, or outside production one that is generated once and kept with the data."""
    return required("SECRET_KEY", mode) or kept_secret(data / "secret-key")


def deidentify_key(mode: Mode, data: Path) -> str:
    """DEIDENTIFY_KEY, or outside production one that is generated once and kept with the data."""
    key = env("DEIDENTIFY_KEY")
    return key if key or mode is Mode.PRODUCTION else kept_secret(data / "deidentify-key")


def kept_secret(path: Path, *, length: int = 50) -> str:
    """Text that is made once, unguessable, and readable by its owner only (mode 0600)."""
    if not path.exists():
        _publish_once(path, secrets.token_urlsafe(length))
    return path.read_text().strip()


def _publish_once(path: Path, text: str) -> None:
    # Several processes may start at once: a link appears whole, and only the first one wins.
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:
        draft.write(text)
        draft.flush()
        with suppress(FileExistsError):
            os.link(draft.name, path)
