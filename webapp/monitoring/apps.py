from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "webapp.monitoring"
    label = "monitoring"

    def ready(self) -> None:
        from webapp.labels.orders import drift_is_scored_by
        from webapp.monitoring import checks  # noqa: F401 (registers them)
        from webapp.monitoring.nonconformity import strangeness

        drift_is_scored_by(strangeness)
