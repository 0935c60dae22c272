"""Build the indexes of the search by name that the migration could not."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from webapp.analysis.worklist import search_index


class Command(BaseCommand):
    help = "Build the index of the search by name, once the extension pg_trgm may be used."

    def handle(self, *args, **options) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("Only PostgreSQL has this index; SQLite reads every row.")
        if not search_index.build(connection):
            raise CommandError(
                "The extension pg_trgm is missing and this user may not create it. As a superuser of the "
                "database: CREATE EXTENSION pg_trgm;"
            )
        self.stdout.write("Names are found by their index.")
