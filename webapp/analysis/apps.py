from django.apps import AppConfig


class AnalysisConfig(AppConfig):
    name = "webapp.analysis"

    def ready(self) -> None:
        from webapp.analysis import checks, services  # noqa: F401 (registers them)
