from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "webapp.monitoring"

    def ready(self) -> None:
        from webapp.labels.queue_order import register_drift_score
        from webapp.monitoring import checks  # noqa: F401 (registers them)
        from webapp.monitoring.nonconformity import nonconformity_scores

        register_drift_score(nonconformity_scores)
