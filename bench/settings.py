"""The product's settings, with an address more (the view that does nothing) and a command more (`seed`)."""

from portus import settings
from portus.settings import *  # noqa: F403 - whatever the product has, it has here

ROOT_URLCONF = "bench.urls"
INSTALLED_APPS = [*settings.INSTALLED_APPS, "bench"]
