from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "webapp.monitoring"
    label = "monitoring"

    def ready(self) -> None:
        from webapp.monitoring import checks  # noqa: F401 (registers them)
