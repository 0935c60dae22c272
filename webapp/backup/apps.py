from django.apps import AppConfig


class BackupConfig(AppConfig):
    name = "webapp.backup"

    def ready(self) -> None:
        from webapp.backup import checks  # noqa: F401 (registers them)
