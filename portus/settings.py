"""Django's settings, all fed by `portus.config`: nothing else reads the environment."""

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

from portus import config

try:
    LOADED = config.load(os.environ)
except config.ConfigurationError as error:
    sys.stderr.writelines(f"{problem}\n" for problem in error.problems)
    sys.exit(2)

PORTUS = LOADED.options
RUNTIME = PORTUS.runtime
BASE_DIR = Path(__file__).parent
_HTTPS = PORTUS.public_url.startswith("https://")

# Without one, nothing serves (portus.wsgi and `portus background` refuse), and other commands need only some key.
SECRET_KEY = RUNTIME.secret_key_base or secrets.token_hex(64)
DEBUG = False
# The Host header never builds a link, and the registry calls us by internal names.
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "portus.urls"
WSGI_APPLICATION = "portus.wsgi.application"
FORCE_SCRIPT_NAME = RUNTIME.url_prefix or None
# A path of Portus 2.4 has no slash at its end, and nothing is gained by redirecting a registry.
APPEND_SLASH = False

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "ninja",
    "allauth",
    "allauth.account",
    "portus.activities",
    "portus.accounts",
    "portus.teams",
    "portus.registry",
    "portus.repositories",
    "portus.background",
    "portus.web",
]

MIDDLEWARE = [
    "portus.web.middleware.trusted_proxies",
    "portus.web.middleware.path_prefix",
    "portus.web.cors.cors",
    "django.middleware.security.SecurityMiddleware",
    "portus.web.middleware.programs_first",
    # Outside of whatever refuses a request: refusals are pages too.
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portus.web.middleware.sane_requests",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "portus.web.middleware.personal_answers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portus.web.context.site",
            ],
        },
    }
]

# Database

_DATABASE = RUNTIME.database
_ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "mariadb": "django.db.backends.mysql",
}
_DATABASE_OPTIONS: dict[str, dict[str, object]] = {
    # Deferred transactions, Django's default, fail under two writers whatever the time-out.
    "sqlite": {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    },
    "postgresql": {},
    "mariadb": {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "init_command": "SET sql_mode='STRICT_TRANS_TABLES'",
        **({"unix_socket": _DATABASE.socket} if _DATABASE.socket else {}),
    },
}
_TEST_OPTIONS: dict[str, dict[str, object]] = {
    # A database in memory is shared between threads in a mode that refuses instead of waiting.
    "sqlite": {"NAME": RUNTIME.data / "test.sqlite3"},
    "postgresql": {},
    "mariadb": {"CHARSET": "utf8mb4"},
}
DATABASES = {
    "default": {
        "ENGINE": _ENGINES[_DATABASE.engine],
        "NAME": _DATABASE.name,
        "USER": _DATABASE.user,
        "PASSWORD": _DATABASE.password,
        "HOST": _DATABASE.host,
        "PORT": _DATABASE.port or "",
        "OPTIONS": _DATABASE_OPTIONS[_DATABASE.engine] | _DATABASE.options,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": _DATABASE.engine != "sqlite",
        "TEST": _TEST_OPTIONS[_DATABASE.engine],
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SILENCED_SYSTEM_CHECKS = [
    # Conditional constraints of allauth's e-mail table, which MariaDB does not have: e-mail is unique on our user.
    "models.W036",
    "auth.W004",  # the unique column is the normalised form of the user name
]

# Accounts

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["portus.accounts.backends.PasswordBackend"]
PASSWORD_HASHERS = [
    "portus.accounts.hashers.Argon2Hasher",
    "portus.accounts.hashers.ImportedBcryptHasher",  # passwords imported from Portus 2.x
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "portus.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {
    "login": "portus.accounts.forms.SignInForm",
    "signup": "portus.accounts.forms.SignUpForm",
    "change_password": "portus.accounts.forms.ChangePasswordForm",
}
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_RATE_LIMITS = False  # wrong passwords are counted by accounts.backends, in the database and nowhere else

# Requests and cookies

_PUBLIC = urlsplit(PORTUS.public_url)
# Browsers keep cookies by host alone: two of us on one machine would sign each other's people out.
_OWN = f"_{_PUBLIC.port}" if _PUBLIC.port and _PUBLIC.hostname in {"localhost", "127.0.0.1", "::1"} else ""
SESSION_COOKIE_NAME = f"_portus_session{_OWN}"
CSRF_COOKIE_NAME = f"_portus_csrf{_OWN}"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = RUNTIME.url_prefix or "/"
CSRF_TRUSTED_ORIGINS = [f"{_PUBLIC.scheme}://{_PUBLIC.netloc}"]
CSRF_FAILURE_VIEW = "portus.web.errors.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# Static files

STATIC_URL = f"{RUNTIME.url_prefix}/assets/"  # a relative one would be completed before the prefix is known
STATIC_ROOT = RUNTIME.data / "assets"
WHITENOISE_USE_FINDERS = True  # what was never collected is served from the package, under its own name
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "portus.web.storage.StaticStorage"},
}

# Times, words, logs

USE_TZ = True
TIME_ZONE = RUNTIME.time_zone
LANGUAGE_CODE = "en"
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "portus.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": RUNTIME.log_level.upper()},
    "loggers": {
        "huey": {"level": "WARNING"},  # at INFO two lines a task
        "httpx": {"level": "WARNING"},  # at INFO it logs whole addresses, one line a request
        "httpcore": {"level": "WARNING"},
    },
}
