"""Lets PostgreSQL find a part of a name, and the beginning of a number, in the worklist."""

from webapp.analysis.worklist import search_index


def create(apps, schema_editor):
    search_index.build(schema_editor.connection)


def drop(apps, schema_editor):
    """The index goes with its table."""
