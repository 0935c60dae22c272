from django.apps import AppConfig


class DicomWebConfig(AppConfig):
    name = "webapp.dicomweb"
    verbose_name = "DICOMweb"
