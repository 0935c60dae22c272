from django.apps import AppConfig
from django.contrib.admin import apps as admin


class CoreConfig(AppConfig):
    name = "webapp.core"
    label = "core"


class HilumAdminConfig(admin.AdminConfig):
    default = False
    default_site = "webapp.core.admin.HilumAdminSite"
