"""Signed readings, which the database keeps from being changed."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

TABLES = ("labels_reading", "labels_readscan")
FUNCTION = """
CREATE OR REPLACE FUNCTION hilum_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'readings are added to, never changed or removed'; END $$
"""


def protect(apps, schema_editor):
    """Let the database itself refuse what would change or remove a reading."""
    postgres = schema_editor.connection.vendor == "postgresql"
    if postgres:
        schema_editor.execute(FUNCTION)
    for table in TABLES:
        for act in ("UPDATE", "DELETE"):
            body = (
                "FOR EACH ROW EXECUTE FUNCTION hilum_append_only()"
                if postgres
                else "BEGIN SELECT RAISE(ABORT, 'readings are added to, never changed or removed'); END"
            )
            schema_editor.execute(f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} {body}")


def release(apps, schema_editor):
    for table in TABLES:
        on = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        for act in ("update", "delete"):
            schema_editor.execute(f"DROP TRIGGER {table}_no_{act}{on}")
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION hilum_append_only()")


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0004_deidentify_on_ingest'),
        ('scans', '0004_stored_sha256'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Reading',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('signed_as', models.CharField(max_length=200)),
                ('findings', models.JSONField()),
                ('comment', models.TextField(blank=True, max_length=2000)),
                ('evidence', models.JSONField()),
                ('sha256', models.CharField(max_length=64)),
                ('reader', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='readings', to=settings.AUTH_USER_MODEL)),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='readings', to='accounts.site')),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='readings', to='scans.study')),
                ('supersedes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='superseded_by', to='labels.reading')),
            ],
            options={
                'ordering': ['-created_at'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ReadScan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reading', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='read_scans', to='labels.reading')),
                ('scan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='read_scans', to='scans.scan')),
            ],
            options={
                'default_permissions': ('view',),
            },
        ),
        migrations.AddField(
            model_name='reading',
            name='scans',
            field=models.ManyToManyField(related_name='readings', through='labels.ReadScan', to='scans.scan'),
        ),
        migrations.AddConstraint(
            model_name='readscan',
            constraint=models.UniqueConstraint(fields=('reading', 'scan'), name='scan_once_a_reading'),
        ),
        migrations.AddIndex(
            model_name='reading',
            index=models.Index(fields=['site', '-created_at'], name='reading_recent'),
        ),
        migrations.RunPython(protect, release),
    ]
