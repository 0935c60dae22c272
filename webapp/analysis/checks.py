"""System check: names are found by an index, where the database has one."""

from __future__ import annotations

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import Error, connection

from webapp.analysis.worklist.search_index import names_are_indexed


@register(Tags.database)
def names_have_an_index(app_configs, databases=None, **kwargs) -> list[CheckMessage]:
    if connection.vendor != "postgresql" or not databases:
        return []
    try:
        if "scans_patient" not in connection.introspection.table_names() or names_are_indexed(connection):
            return []
    except Error:
        return []
    return [
        Warning(
            "The search by name reads every patient: its index is missing.",
            hint="CREATE EXTENSION pg_trgm as a superuser, then manage.py build_search_index.",
            id="hilum.W011",
        )
    ]
