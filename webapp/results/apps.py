from django.apps import AppConfig


class ResultsConfig(AppConfig):
    name = "webapp.results"

    def ready(self) -> None:
        from webapp.core import storage
        from webapp.results import receivers, selectors  # noqa: F401 (receivers registers itself)

        storage.naming.append(selectors.stored_objects)
