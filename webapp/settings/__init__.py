"""Django's settings for Hilum: production by default, other modes by name (HILUM_ENV)."""

from __future__ import annotations

from datetime import timedelta

from csp.constants import NONE, SELF

from webapp.settings.environment import (
    BASE_DIR,
    LOOPBACK_HOSTS,
    Mode,
    data_folder,
    deidentify_key,
    env,
    mode,
    redis_url,
    required,
    secret_key,
    version,
)

HILUM_ENV = mode()
PRODUCTION = HILUM_ENV is Mode.PRODUCTION
DEBUG = HILUM_ENV is Mode.DEVELOPMENT

HILUM_DATA = data_folder()
HILUM_ARTIFACTS = BASE_DIR / "artifacts"
HILUM_TRUSTED_PROXIES = env("HILUM_TRUSTED_PROXIES")
# strict: no file is parsed where the parser cannot be confined; degraded: with what the system offers.
HILUM_SANDBOX = env("HILUM_SANDBOX") or ("strict" if PRODUCTION else "degraded")
HILUM_DEVICE = env("HILUM_DEVICE")  # auto, cpu, cuda
HILUM_PRECISION = env("HILUM_PRECISION")  # fp32, auto
# auto, pytorch, onnxruntime, openvino; tests are not to export a network each.
HILUM_ENGINE = env("HILUM_ENGINE") or ("pytorch" if HILUM_ENV is Mode.TEST else "auto")
HILUM_DATA_SETS = env("HILUM_DATA_SETS")
HILUM_BATCH = env("HILUM_BATCH")
HILUM_MAX_ARCHIVE_BYTES = env("HILUM_MAX_ARCHIVE_BYTES")
# Without a folder no backup is scheduled.
HILUM_BACKUP_FOLDER = env("HILUM_BACKUP_FOLDER")
HILUM_BACKUP_HOURS = max(1, env("HILUM_BACKUP_HOURS"))
HILUM_BACKUP_KEEP = max(1, env("HILUM_BACKUP_KEEP"))
HILUM_BACKUP_PASSPHRASE = env("HILUM_BACKUP_PASSPHRASE")
HILUM_DISK_FLOOR = env("HILUM_DISK_FLOOR")
HILUM_MAX_WAITING = env("HILUM_MAX_WAITING")
HILUM_SITE_UPLOADS = env("HILUM_SITE_UPLOADS")
HILUM_USER_UPLOADS = env("HILUM_USER_UPLOADS")
HILUM_PAGE_RATE = env("HILUM_PAGE_RATE")

SECRET_KEY = secret_key(HILUM_ENV, HILUM_DATA)
SECRET_KEY_FALLBACKS = env("SECRET_KEY_FALLBACKS")
# The first signs the events of the audit log; all of them verify.
AUDIT_KEYS = env("AUDIT_KEYS") or [SECRET_KEY, *SECRET_KEY_FALLBACKS]
# Webhook secrets are derived from the first; messages are signed with the secrets of all.
WEBHOOK_KEYS = env("WEBHOOK_KEYS") or [SECRET_KEY, *SECRET_KEY_FALLBACKS]
DEIDENTIFY_KEY = deidentify_key(HILUM_ENV, HILUM_DATA)
DEIDENTIFY_ON_INGEST = env("DEIDENTIFY_ON_INGEST")
required("ALLOWED_HOSTS", HILUM_ENV)
ALLOWED_HOSTS = env("ALLOWED_HOSTS") or LOOPBACK_HOSTS
CSRF_TRUSTED_ORIGINS = env("CSRF_TRUSTED_ORIGINS")

# --- Applications -----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "webapp.core.apps.HilumAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "csp",
    "django_celery_beat",
    "django_filters",
    "drf_spectacular",
    "rest_framework",
    "webapp.core",
    "webapp.accounts",
    "webapp.audit",
    "webapp.webhooks",
    "webapp.scans",
    "webapp.dicom",
    "webapp.registry",
    "webapp.analysis",
    "webapp.labels",
    "webapp.training",
    "webapp.monitoring",
    "webapp.results",
    "webapp.backup",
    "webapp.pages",
    "webapp.api",
    "webapp.dicomweb",
]

MIDDLEWARE = [
    "webapp.core.http.middleware.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "webapp.core.http.middleware.SafetyHeaders",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "webapp.accounts.middleware.DemoAccountsStayLocal",
    "webapp.audit.middleware.RecordAccess",
    "webapp.accounts.sessions.middleware.SessionLimits",
    "webapp.accounts.middleware.SignInRequired",
    "webapp.core.http.rate.SessionRate",
    # These two read the body, or refuse to: only once it is known who sends it.
    "webapp.core.http.middleware.SmallForms",
    "webapp.core.http.middleware.CsrfHeaderFirst",
    "webapp.accounts.middleware.ReadersTimezone",
    "django.contrib.messages.middleware.MessageMiddleware",
    "webapp.accounts.sessions.confirmation.ConfirmationRequired",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "webapp.core.http.middleware.CodedErrors",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "webapp.urls"
WSGI_APPLICATION = "webapp.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "webapp.core.http.context.application",
                "webapp.accounts.context.person",
                "webapp.pages.monitoring.open_alarms.alarms",
            ],
        },
    }
]

# --- Database, cache, queue -------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASE_URL = required("DATABASE_URL", HILUM_ENV) or f"sqlite:///{HILUM_DATA / 'hilum.sqlite3'}"
DATABASES = {"default": env.db_url_config(DATABASE_URL)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # Several processes write: take the write lock at BEGIN, or the busy timeout is not honoured.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(HILUM_DATA / "test.sqlite3")}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

REDIS_URL = redis_url()
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "hilum",
            "OPTIONS": {"serializer": "webapp.core.caching.JsonSerializer"},
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

HILUM_QUEUE_FOLDER = HILUM_DATA / "queue"

# --- People -----------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "webapp.accounts.backends.AccountBackend",
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
    {"NAME": "webapp.accounts.sign_in.passwords.NameInPasswordValidator"},
    {"NAME": "webapp.accounts.sign_in.passwords.GuessablePasswordValidator"},
]
PASSWORD_HASHERS = STORED_WITH = [
    "webapp.accounts.sign_in.hashers.Argon2",
    # Passwords stored before Argon2 was: replaced at the next sign-in.
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
CSRF_FAILURE_VIEW = "webapp.core.http.views.csrf_failure"

HILUM_SIGN_IN_FAILURES_PER_ADDRESS = env("HILUM_SIGN_IN_FAILURES_PER_ADDRESS")
HILUM_SIGN_IN_FAILURES_PER_ACCOUNT = env("HILUM_SIGN_IN_FAILURES_PER_ACCOUNT")
AXES_HANDLER = "webapp.accounts.sign_in.throttling.SignInBudgets"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "webapp.accounts.sign_in.throttling.sign_in_address"
AXES_LOCKOUT_CALLABLE = "webapp.accounts.views.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- The wire ---------------------------------------------------------------------------------------

# A browser keeps a cookie with this prefix from being set by another host or without TLS.
_HOST = "__Host-" if PRODUCTION else ""
SESSION_COOKIE_NAME = f"{_HOST}hilum_session"
HILUM_SESSION_HOURS = env("HILUM_SESSION_HOURS")
HILUM_SESSION_IDLE_MINUTES = env("HILUM_SESSION_IDLE_MINUTES")
HILUM_CONFIRM_MINUTES = env("HILUM_CONFIRM_MINUTES")
SESSION_COOKIE_AGE = HILUM_SESSION_HOURS * 60 * 60
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
CSRF_COOKIE_NAME = f"{_HOST}hilum_csrf"
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SILENCED_SYSTEM_CHECKS = [
    "security.W021",  # preloading is the whole domain's decision, not one site's
    "models.W040",  # SQLite keeps an index without the further columns that PostgreSQL takes from it
]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if HILUM_TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "blob:", "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_TEMP_DIR = HILUM_DATA / "incoming"
FILE_UPLOAD_TEMP_DIR.mkdir(mode=0o700, exist_ok=True)

# --- Static files -----------------------------------------------------------------------------------

STATIC_URL = "/static/"
# Production collects its files once; elsewhere they are served from where they lie.
STATIC_ROOT = (env("HILUM_STATIC_ROOT") or BASE_DIR / "var" / "static") if PRODUCTION else None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_ALLOW_ALL_ORIGINS = False
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = HILUM_ENV in (Mode.DEVELOPMENT, Mode.TEST)
_STATIC_STORAGE = (
    "webapp.core.http.statics.HashedStatics"
    if PRODUCTION
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": _STATIC_STORAGE},
}

# --- API --------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "webapp.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "webapp.api.schema.OperationSchema",
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "webapp.core.http.problem_details.exception_handler",
    "DEFAULT_VERSIONING_CLASS": None,
    "NUM_PROXIES": HILUM_TRUSTED_PROXIES,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Hilum",
    "DESCRIPTION": "A second reader for chest imaging. Research use, not a medical device.",
    "VERSION": version(),
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,
    "SERVERS": [{"url": "/"}],
    "ENUM_NAME_OVERRIDES": {
        "ScanStatus": "webapp.analysis.state.ScanStatus",
        "AnalysisState": "webapp.api.serializers.scans.ANALYSIS_STATES",
        "UploadState": "webapp.scans.models.UploadStatus",
        "StudyState": "webapp.analysis.models.StudyStatus",
        "ModelState": "webapp.registry.models.ModelStatus",
        "RunState": "webapp.training.models.RunStatus",
        "JobState": "webapp.core.jobs.table.JobStatus",
        "PromotionGateOutcome": "webapp.api.serializers.models.OUTCOMES",
        "DeliveryState": "webapp.webhooks.models.DeliveryStatus",
        "Assessment": "webapp.labels.models.Assessment",
        "MarkKind": "webapp.labels.marks.models.MarkKind",
        "LabelSource": "webapp.labels.models.LabelSource",
        "LabelOrder": "webapp.labels.models.QueueOrder",
        "CaseState": "webapp.labels.models.ItemStatus",
        "EventKind": "webapp.webhooks.kinds.KINDS",
        "Slot": "webapp.scans.models.SLOTS",
        "AlarmState": "webapp.monitoring.models.AlarmStatus",
        "AlarmAction": "webapp.monitoring.models.AlarmAction",
        "AlarmEnd": "webapp.api.serializers.monitoring.ENDS",
        "Signal": "webapp.api.serializers.monitoring.KINDS",
        "DestinationKind": "webapp.results.kinds.DestinationKind",
        "ResultWhen": "webapp.results.kinds.When",
        "ResultObjectKind": "webapp.api.destinations.serializers.OBJECTS",
        "ResultDeliveryState": "webapp.results.models.DeliveryStatus",
        "ResultCause": "webapp.results.models.Cause",
        "WebhookKinds": "webapp.webhooks.kinds.SUBSCRIBABLE",
    },
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "TAGS": [],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "webapp.api.schema.complete",
    ],
}
HILUM_API_RATE = env("HILUM_API_RATE")
HILUM_WEBHOOK_NETWORKS = env("HILUM_WEBHOOK_NETWORKS")
HILUM_WEBHOOK_CA_FILE = env("HILUM_WEBHOOK_CA_FILE")
HILUM_RESULT_CREDENTIALS = env("HILUM_RESULT_CREDENTIALS")
HILUM_RESULT_TLS_CERTIFICATE = env("HILUM_RESULT_TLS_CERTIFICATE")
HILUM_RESULT_TLS_KEY = env("HILUM_RESULT_TLS_KEY")

# --- DICOM ------------------------------------------------------------------------------------------

DICOM_BIND = env("DICOM_BIND")
DICOM_PORT = env("DICOM_PORT")
DICOM_AE_TITLE = env("DICOM_AE_TITLE")
DICOM_MAX_ASSOCIATIONS = max(1, env("DICOM_MAX_ASSOCIATIONS"))
DICOM_TLS_CERTIFICATE = env("DICOM_TLS_CERTIFICATE")
DICOM_TLS_KEY = env("DICOM_TLS_KEY")
DICOM_TLS_CA = env("DICOM_TLS_CA")
DICOM_CREDENTIALS = env("DICOM_CREDENTIALS")

# --- Monitoring -------------------------------------------------------------------------------------

HILUM_DRIFT_BASELINE = max(100, env("HILUM_DRIFT_BASELINE"))
HILUM_METRICS_TOKEN = env("HILUM_METRICS_TOKEN")
HILUM_METRICS_NETWORKS = env("HILUM_METRICS_NETWORKS")
# Without EMAIL_URL nothing is ever sent.
HILUM_MAIL = bool(env("EMAIL_URL"))
vars().update(env.email_url_config(env("EMAIL_URL") or "dummymail://"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env("HILUM_MAIL_FROM") or "hilum@localhost"

# --- Time, words, logs ------------------------------------------------------------------------------

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
LOCALE_PATHS = [BASE_DIR / "webapp" / "locale"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "webapp.core.logs.JsonFormatter", "with_exception_text": DEBUG},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env("HILUM_LOG_LEVEL")},
    "loggers": {
        "django": {"handlers": [], "level": "NOTSET", "propagate": True},
        # Refusals are logged by webapp.core.http.middleware, by route: these two would name what was typed.
        "django.request": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
    },
}

if HILUM_ENV is Mode.TEST:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    LOGGING["root"]["level"] = "WARNING"
