from django.apps import AppConfig
from django.contrib.admin import apps as admin


class CoreConfig(AppConfig):
    name = "webapp.core"

    def ready(self) -> None:
        from webapp.core import checks  # noqa: F401 (registers them)


class HilumAdminConfig(admin.AdminConfig):
    default = False
    default_site = "webapp.core.admin.HilumAdminSite"
