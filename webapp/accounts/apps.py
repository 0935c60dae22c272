from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "webapp.accounts"

    def ready(self) -> None:
        from webapp.accounts import checks  # noqa: F401 (registers them)
        from webapp.accounts.sessions import signals  # noqa: F401 (connects them)
