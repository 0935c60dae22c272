"""Labels, which the database keeps from being changed, and the queues that they are given in."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

FUNCTION = """
CREATE OR REPLACE FUNCTION hilum_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ': rows are added, never changed or removed'; END $$
"""


def protect(apps, schema_editor):
    """Let the database itself refuse what would change or remove a label."""
    postgres = schema_editor.connection.vendor == "postgresql"
    if postgres:
        schema_editor.execute(FUNCTION)
    for act in ("UPDATE", "DELETE"):
        body = (
            "FOR EACH ROW EXECUTE FUNCTION hilum_append_only()"
            if postgres
            else "BEGIN SELECT RAISE(ABORT, 'labels are added to, never changed or removed'); END"
        )
        name = f"labels_label_no_{act.lower()}"
        schema_editor.execute(f"CREATE TRIGGER {name} BEFORE {act} ON labels_label {body}")


def release(apps, schema_editor):
    on = " ON labels_label" if schema_editor.connection.vendor == "postgresql" else ""
    for act in ("update", "delete"):
        schema_editor.execute(f"DROP TRIGGER labels_label_no_{act}{on}")


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_label_permissions'),
        ('analysis', '0003_reading_room'),
        ('labels', '0001_initial'),
        ('scans', '0006_study_by_uid'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='LabelQueue',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('name', models.CharField(max_length=100)),
                ('findings', models.JSONField()),
                ('order', models.CharField(choices=[('uncertainty', 'Uncertainty'), ('disagreement', 'Disagreement'), ('drift', 'Drift'), ('random', 'Random')], max_length=16)),
                ('readers', models.PositiveSmallIntegerField(default=1, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(9)])),
                ('contents', models.JSONField(default=dict)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('made_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='label_queues', to='accounts.site')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='QueueItem',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('position', models.PositiveIntegerField()),
                ('score', models.FloatField(null=True)),
                ('done', models.PositiveSmallIntegerField(default=0)),
                ('status', models.CharField(choices=[('waiting', 'Waiting'), ('agreed', 'Agreed'), ('disputed', 'Disputed'), ('settled', 'Settled')], default='waiting', max_length=16)),
                ('queue', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='items', to='labels.labelqueue')),
                ('scan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='queue_items', to='scans.scan')),
            ],
            options={
                'ordering': ['position'],
            },
        ),
        migrations.CreateModel(
            name='QueueClaim',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('until', models.DateTimeField()),
                ('reader', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='claims', to='labels.queueitem')),
            ],
        ),
        migrations.AddField(
            model_name='labelqueue',
            name='scans',
            field=models.ManyToManyField(related_name='label_queues', through='labels.QueueItem', to='scans.scan'),
        ),
        migrations.CreateModel(
            name='Label',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('signed_as', models.CharField(max_length=200)),
                ('source', models.CharField(choices=[('reader', 'Reader'), ('import', 'Import'), ('adjudication', 'Adjudication')], default='reader', max_length=16)),
                ('findings', models.JSONField()),
                ('confidence', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('regions', models.JSONField(default=list)),
                ('comment', models.TextField(blank=True, max_length=2000)),
                ('cannot_tell', models.BooleanField(default=False)),
                ('bad_image', models.BooleanField(default=False)),
                ('blind', models.BooleanField(default=True)),
                ('facts', models.JSONField(default=dict)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('reader', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='labels', to=settings.AUTH_USER_MODEL)),
                ('scan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='labels', to='scans.scan')),
                ('seen', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='analysis.analysis')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='labels', to='accounts.site')),
                ('supersedes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='superseded_by', to='labels.label')),
                ('queue', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='labels', to='labels.labelqueue')),
            ],
            options={
                'ordering': ['-created_at'],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['site', '-created_at', '-id'], name='label_newest'), models.Index(fields=['scan', '-created_at'], name='label_of_scan'), models.Index(fields=['queue', 'reader'], name='label_of_queue')],
                'constraints': [models.CheckConstraint(condition=models.Q(('confidence', None), models.Q(('confidence__gte', 1), ('confidence__lte', 3)), _connector='OR'), name='label_confidence'), models.CheckConstraint(condition=models.Q(models.Q(('source', 'adjudication'), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='label_decided_with_reason'), models.CheckConstraint(condition=models.Q(('supersedes', models.F('id')), _negated=True), name='label_not_over_itself'), models.UniqueConstraint(condition=models.Q(('queue__isnull', False), ('source', 'reader'), ('supersedes', None)), fields=('scan', 'reader', 'queue'), name='label_first_in_a_queue'), models.UniqueConstraint(condition=models.Q(('queue', None), ('source', 'reader'), ('supersedes', None)), fields=('scan', 'reader'), name='label_first_of_a_reader'), models.UniqueConstraint(condition=models.Q(('source', 'import'), ('supersedes', None)), fields=('scan', 'signed_as'), name='label_first_import'), models.UniqueConstraint(condition=models.Q(('source', 'adjudication'), ('supersedes', None)), fields=('scan',), name='label_first_adjudication')],
            },
        ),
        migrations.AddIndex(
            model_name='queueitem',
            index=models.Index(fields=['queue', 'status', 'position'], name='queue_next'),
        ),
        migrations.AddConstraint(
            model_name='queueitem',
            constraint=models.UniqueConstraint(fields=('queue', 'scan'), name='scan_once_a_queue'),
        ),
        migrations.AddConstraint(
            model_name='queueitem',
            constraint=models.UniqueConstraint(fields=('queue', 'position'), name='queue_position_once'),
        ),
        migrations.AddConstraint(
            model_name='queueclaim',
            constraint=models.UniqueConstraint(fields=('item', 'reader'), name='claim_once_a_reader'),
        ),
        migrations.AddIndex(
            model_name='labelqueue',
            index=models.Index(fields=['site', '-created_at'], name='queue_newest'),
        ),
        migrations.AddConstraint(
            model_name='labelqueue',
            constraint=models.UniqueConstraint(fields=('site', 'name'), name='queue_once_a_name'),
        ),
        migrations.AddConstraint(
            model_name='labelqueue',
            constraint=models.CheckConstraint(condition=models.Q(('readers__gte', 1), ('readers__lte', 9)), name='queue_has_readers'),
        ),
        migrations.RunPython(protect, release),
    ]
