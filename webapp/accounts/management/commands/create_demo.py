from __future__ import annotations

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.models import Role, Site, User
from webapp.accounts.services import membership_set
from webapp.settings.environment import env, kept_secret

ACCOUNTS = ("clinician", "admin")


class Command(BaseCommand):
    help = "Create the demo site and its accounts, which work on this machine only. Safe to repeat."

    def handle(self, **options) -> None:
        if settings.HILUM_ENV not in ("demo", "test"):
            raise CommandError("Demo accounts need HILUM_ENV=demo.")
        password = demo_password()
        site, _ = Site.objects.get_or_create(slug="demo", defaults={"name": "Demo Hospital"})
        for name in ACCOUNTS:
            user = _demo_user(name, password)
            if name == "admin" and not user.is_superuser:
                user.is_superuser = user.is_staff = True  # opens /admin/, on loopback only
                user.save(update_fields=["is_superuser", "is_staff"])
            membership_set(user=user, site=site, role=Role.objects.get(name=name), is_default=True)
        if settings.HILUM_ENV == "demo":
            mark = settings.HILUM_DATA / "run" / "demo"  # lets manage.py find the demo, see docs/decisions
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
        self.stdout.write(f"Sign in as {' or '.join(ACCOUNTS)}, password: {password}")


def demo_password() -> str:
    """HILUM_DEMO_PASSWORD, or one that is generated once and kept in the data folder (mode 0600)."""
    return env("HILUM_DEMO_PASSWORD") or kept_secret(settings.HILUM_DATA / "demo-password", length=9)


def _demo_user(name: str, password: str) -> User:
    user, created = User.objects.get_or_create(username=name, defaults={"is_demo": True})
    if not created and not user.is_demo:
        raise CommandError(f"{name!r} is not a demo account; it is left unchanged.")
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return user
