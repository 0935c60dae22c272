from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "webapp.pages"

    def ready(self) -> None:
        from webapp.pages.hotkeys import register_all
        from webapp.pages.report.sent import sent_report
        from webapp.results.report import register

        register_all()
        register(sent_report)
