from django.apps import AppConfig


class BackgroundConfig(AppConfig):
    name = "portus.background"
    default_auto_field = "django.db.models.BigAutoField"
