from django.apps import AppConfig


class ScansConfig(AppConfig):
    name = "webapp.scans"
    label = "scans"
