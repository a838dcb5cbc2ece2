"""One deployment, configured by the environment only; `docs/configuration.md` lists each name."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from orchestrator.conf import label_resources
from orchestrator.exceptions import CredentialsClosed, InvalidRequest
from orchestrator.runtime import private, redis_url
from orchestrator.security import keyring
from orchestrator.security.egress import EgressPolicy

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("DATA_DIR") or BASE_DIR / ".data").resolve()
PORT = int(os.environ.get("PORT") or 8000)
LOG_LEVEL = (os.environ.get("LOG_LEVEL") or "INFO").upper()
LOG_FORMAT = (os.environ.get("LOG_FORMAT") or "text").lower()
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT must be text or json, not {LOG_FORMAT!r}.")

DEBUG = False
_LOCAL = ("up", "run_workflow", "check_workflow", "parity", "nodes")
"""Commands with which a newcomer begins: what they do needs no key of anybody's choice."""
_secret_key = DATA_DIR / "secret_key"
SECRET_KEY = os.environ.get("SECRET_KEY") or private.read(_secret_key)
if not SECRET_KEY and sys.argv[1:2] in [[name] for name in _LOCAL]:
    SECRET_KEY = private.keep(_secret_key, get_random_secret_key)
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "Set SECRET_KEY. `make run` makes one and keeps it in the data folder."
    )
_credential_keys = DATA_DIR / "credential_keys"
try:
    CREDENTIAL_KEYS = keyring.given(os.environ) or private.read(_credential_keys).split()
except CredentialsClosed as error:
    raise ImproperlyConfigured(error.message) from None
if not CREDENTIAL_KEYS and sys.argv[1:2] in [[name] for name in _LOCAL]:
    CREDENTIAL_KEYS = private.keep(_credential_keys, keyring.new_key).split()
ALLOWED_HOSTS = [
    host.strip()
    for host in (os.environ.get("ALLOWED_HOSTS") or "127.0.0.1,localhost,[::1]").split(",")
    if host.strip()
]

URL_PREFIX = (os.environ.get("URL_PREFIX") or "").rstrip("/")
if not re.fullmatch(r"(/[\w.~-]+)*", URL_PREFIX, re.ASCII):
    raise ImproperlyConfigured(f"URL_PREFIX must be a path such as /flows, not {URL_PREFIX!r}.")
FORCE_SCRIPT_NAME = URL_PREFIX or None
HTTPS = os.environ.get("HTTPS", "").lower() in ("1", "true", "yes")

EGRESS_ALLOW = [
    entry.strip() for entry in os.environ.get("EGRESS_ALLOW", "").split(",") if entry.strip()
]
try:
    EgressPolicy.parse(EGRESS_ALLOW)
except InvalidRequest as error:
    raise ImproperlyConfigured(error.message) from None

TRACES_PER_SECOND = int(os.environ.get("TRACES_PER_SECOND") or 0)
if TRACES_PER_SECOND and not (find_spec("opentelemetry") and find_spec("opentelemetry.sdk")):
    raise ImproperlyConfigured(
        "TRACES_PER_SECOND needs OpenTelemetry: pip install -r requirements-otel.txt"
    )

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "orchestrator",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "orchestrator.api.headers.PageHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "orchestrator.api.outages.OutageMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "orchestrator.api.pages.person",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'db.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 5,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
elif DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # Nobody waits for ever: not for a server that is gone, nor for a lock, nor for the locks of
    # a process that was held up in a transaction. What the URL says goes before.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
        "options": "-c lock_timeout=5s -c idle_in_transaction_session_timeout=10s",
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["orchestrator.services.logins.LimitedBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
# Names of our own: a site below `/` on the same host may have cookies of Django's names.
SESSION_COOKIE_NAME = "orchestrator_sessionid"
CSRF_COOKIE_NAME = "orchestrator_csrftoken"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{URL_PREFIX}/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = int(os.environ.get("HSTS_SECONDS") or 0)
X_FRAME_OPTIONS = "DENY"
# A proxy with https in front redirects; subdomains and browsers' lists are not ours to decide on.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],  # icons in the stylesheets of the API page
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = f"{URL_PREFIX}/static/"
WHITENOISE_USE_FINDERS = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "orchestrator.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["orchestrator.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "orchestrator.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Workflow Orchestrator",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Otherwise it puts a link into each of its buttons, which a keyboard stops at twice.
    "SWAGGER_UI_SETTINGS": {"deepLinking": False, "displayRequestDuration": True},
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "orchestrator.api.described.add_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "ReplayFrom": "orchestrator.models.DeadLetter.ReplayFrom",
        "StartFrom": [("resume", "resume"), ("beginning", "beginning")],
        "DeadLetterStatus": "orchestrator.models.DeadLetter.Status",
        "RunStatus": "orchestrator.models.Run.Status",
    },
}

ORCHESTRATOR = {
    "REDIS_URL": redis_url.given(os.environ) or "redis://127.0.0.1:6379/0",
    "ALLOW_UNSAFE_STORE": os.environ.get("ALLOW_UNSAFE_STORE", "").lower() in ("1", "true", "yes"),
    "DATA_DIR": DATA_DIR,
    "NODE_PACKAGES": [
        name.strip() for name in os.environ.get("NODE_PACKAGES", "").split(",") if name.strip()
    ],
    "TOOL_MODULES": [
        name.strip()
        for name in os.environ.get("TOOL_MODULES", "examples.tools.quality").split(",")
        if name.strip()
    ],
    "MAX_ITERATIONS": int(os.environ.get("MAX_ITERATIONS") or 1000),
    "LEASE_TTL": float(os.environ.get("LEASE_TTL") or 30),
    "TRUSTED_PROXIES": [
        name.strip() for name in os.environ.get("TRUSTED_PROXIES", "").split(",") if name.strip()
    ],
    "TASK_MODULES": [
        name.strip() for name in os.environ.get("TASK_MODULES", "").split(",") if name.strip()
    ],
    "EGRESS_ALLOW": EGRESS_ALLOW,
    "CREDENTIAL_KEYS": CREDENTIAL_KEYS,
    "TRACES_PER_SECOND": TRACES_PER_SECOND,
    "WORKER_ID": os.environ.get("WORKER_ID", "").strip(),
    "MAX_CONCURRENT_TASKS": int(os.environ.get("MAX_CONCURRENT_TASKS") or 8),
    "RUNNER_LABELS": [
        name.strip() for name in os.environ.get("RUNNER_LABELS", "").split(",") if name.strip()
    ],
    "WORKER_LABELS": [
        name.strip() for name in os.environ.get("WORKER_LABELS", "").split(",") if name.strip()
    ],
    "CLUSTER": os.environ.get("CLUSTER", "").strip() or "local",
    "LABEL_RESOURCES": label_resources(os.environ.get("LABEL_RESOURCES") or "{}"),
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "orchestrator.logs.LineFormatter", "style": LOG_FORMAT},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # httpx and httpcore write addresses with their queries, and headers of answers.
    "loggers": {name: {"level": "WARNING"} for name in ("httpx", "httpcore", "asyncio")},
}
