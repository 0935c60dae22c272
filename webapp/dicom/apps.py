from django.apps import AppConfig


class DicomConfig(AppConfig):
    name = "webapp.dicom"
    verbose_name = "DICOM"

    def ready(self) -> None:
        from webapp.dicom import checks, priors  # noqa: F401 (they register themselves)
