from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "webapp.registry"

    def ready(self) -> None:
        from webapp.registry import comparisons  # noqa: F401 (connects its receivers)
