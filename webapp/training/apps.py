from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "webapp.training"

    def ready(self) -> None:
        from webapp.core import storage
        from webapp.training import services  # noqa: F401 (connects its receivers)
        from webapp.training.selectors import named_files

        storage.naming.append(named_files)
