from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "webapp.pages"

    def ready(self) -> None:
        from webapp.pages.hotkeys import register_all

        register_all()
