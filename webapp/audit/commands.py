"""Django's command line, recorded: each command that can read or change data leaves an event."""

from __future__ import annotations

import getpass
import os
from typing import Any

from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand

# Commands of the programmer and of the installation, which neither show nor change what the database holds.
NOT_RECORDED = frozenset(
    {
        *("check", "help", "version", "runserver", "test", "testserver", "collectstatic", "findstatic"),
        *(
            "makemigrations",
            "migrate",
            "optimizemigration",
            "showmigrations",
            "sqlmigrate",
            "squashmigrations",
        ),
        *("diffsettings", "startapp", "startproject", "makemessages", "compilemessages", "sqlsequencereset"),
        *("sqlflush", "sendtestemail", "createcachetable", "spectacular", "error_codes", "dicom_listener"),
        # Into an empty database only; `restore` records itself in the log that it restores.
        "restore",
    }
)


class RecordedUtility(ManagementUtility):
    """`manage.py`: what runs through it is recorded with the system user; its arguments are not."""

    def fetch_command(self, subcommand: str) -> BaseCommand:
        command = super().fetch_command(subcommand)
        if subcommand not in NOT_RECORDED:
            self._record(command, subcommand)
        return command

    def _record(self, command: BaseCommand, name: str) -> None:
        execute = command.execute

        def recorded(*args: Any, **options: Any) -> Any:
            from webapp.audit.services import record, running_command

            held = running_command.set({"command": name, "system_user": system_user()})
            try:
                if _has_tables():
                    record(actor=None, site=None, action="command.run")
                return execute(*args, **options)
            finally:
                running_command.reset(held)

        command.execute = recorded  # type: ignore[method-assign]


def _has_tables() -> bool:
    """False before the first `migrate`: there is nothing yet to show or to change."""
    from django.db import connection

    from webapp.audit.models import AuditEvent

    return AuditEvent._meta.db_table in connection.introspection.table_names()


def system_user() -> str:
    """The name of the user who runs this process, or the number of one without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def execute_from_command_line(argv: list[str]) -> None:
    RecordedUtility(argv).execute()
