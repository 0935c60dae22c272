from django.apps import AppConfig


class ScansConfig(AppConfig):
    name = "webapp.scans"

    def ready(self) -> None:
        from webapp.scans import services  # noqa: F401 (connects its receivers)
