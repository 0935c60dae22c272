from django.apps import AppConfig


class DicomConfig(AppConfig):
    name = "webapp.dicom"
    verbose_name = "DICOM"

    def ready(self) -> None:
        from webapp.dicom import checks  # noqa: F401 (registers itself)
