"""Monitoring: what is kept of answers, references and rounds, alarms with a trail that the database keeps."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


TABLE = "monitoring_alarmevent"
WORDS = "the trail of an alarm is added to, never changed or removed"
FUNCTION = f"""
CREATE OR REPLACE FUNCTION hilum_alarm_trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{WORDS}'; END $$
"""
PERMISSION = "alarm.manage"


def protect(apps, schema_editor):
    """Let the database itself refuse what would change or remove a line of a trail."""
    postgres = schema_editor.connection.vendor == "postgresql"
    if postgres:
        schema_editor.execute(FUNCTION)
    for act in ("UPDATE", "DELETE"):
        body = (
            "FOR EACH ROW EXECUTE FUNCTION hilum_alarm_trail()"
            if postgres
            else f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
        )
        schema_editor.execute(f"CREATE TRIGGER {TABLE}_no_{act.lower()} BEFORE {act} ON {TABLE} {body}")


def release(apps, schema_editor):
    postgres = schema_editor.connection.vendor == "postgresql"
    for act in ("update", "delete"):
        schema_editor.execute(f"DROP TRIGGER {TABLE}_no_{act}" + (f" ON {TABLE}" if postgres else ""))
    if postgres:
        schema_editor.execute("DROP FUNCTION hilum_alarm_trail()")


def grant(apps, schema_editor):
    """Administrators answer for alarms."""
    for role in apps.get_model("accounts", "Role").objects.filter(name="admin"):
        if PERMISSION not in role.permissions:
            role.permissions = [*role.permissions, PERMISSION]
            role.save(update_fields=["permissions"])


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0006_label_permissions'),
        ('analysis', '0003_reading_room'),
        ('registry', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Alarm',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('kind', models.CharField(choices=[('pixels', 'the pictures'), ('features', 'what the model sees in the pictures'), ('predictions', "the model's probabilities"), ('abstentions', 'how often the model gives no answer'), ('refusals', 'how often files are refused'), ('overrides', 'how often readers decide against the model'), ('performance', "how far the model's probabilities are from the labels")], max_length=16)),
                ('status', models.CharField(choices=[('open', 'Open'), ('acknowledged', 'Acknowledged'), ('closed', 'Closed')], default='open', max_length=16)),
                ('since', models.DateTimeField()),
                ('detail', models.JSONField(default=dict)),
                ('mailed_at', models.DateTimeField(null=True)),
                ('closed_at', models.DateTimeField(null=True)),
                ('model_version', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.modelversion')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='alarms', to='accounts.site')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='AlarmEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('act', models.CharField(choices=[('opened', 'Opened'), ('acknowledged', 'Acknowledged'), ('commented', 'Commented'), ('closed', 'Closed')], max_length=16)),
                ('comment', models.CharField(blank=True, max_length=1000)),
                ('outcome', models.CharField(blank=True, max_length=16)),
                ('alarm', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='trail', to='monitoring.alarm')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['created_at', 'id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='Baseline',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('kind', models.CharField(choices=[('pixels', 'the pictures'), ('features', 'what the model sees in the pictures'), ('predictions', "the model's probabilities"), ('abstentions', 'how often the model gives no answer'), ('refusals', 'how often files are refused'), ('overrides', 'how often readers decide against the model'), ('performance', "how far the model's probabilities are from the labels")], max_length=16)),
                ('cases', models.PositiveIntegerField()),
                ('data', models.JSONField()),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('until_key', models.UUIDField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('resumes', models.DateTimeField(null=True)),
                ('begun_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('model_version', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='registry.modelversion')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.site')),
            ],
        ),
        migrations.CreateModel(
            name='Looked',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(choices=[('reading', 'Reading'), ('label', 'Label')], max_length=16)),
                ('at', models.DateTimeField()),
                ('key', models.UUIDField()),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.site')),
            ],
            options={
                'verbose_name_plural': 'looked',
            },
        ),
        migrations.CreateModel(
            name='Observation',
            fields=[
                ('analysis', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='observation', serialize=False, to='analysis.analysis')),
                ('at', models.DateTimeField()),
                ('pixels', models.JSONField(default=list)),
                ('features', models.JSONField(default=list)),
                ('withheld', models.BooleanField(default=False)),
                ('finding', models.CharField(blank=True, max_length=64)),
                ('manufacturer', models.CharField(blank=True, max_length=64)),
                ('view', models.CharField(blank=True, max_length=16)),
                ('sex', models.CharField(blank=True, max_length=16)),
                ('age', models.CharField(blank=True, max_length=16)),
                ('model_version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='registry.modelversion')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.site')),
            ],
        ),
        migrations.CreateModel(
            name='Round',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('number', models.PositiveIntegerField()),
                ('after', models.DateTimeField()),
                ('after_key', models.UUIDField()),
                ('cases', models.PositiveIntegerField(default=0)),
                ('latest', models.DateTimeField(null=True)),
                ('latest_key', models.UUIDField(null=True)),
                ('capital', models.FloatField(default=1.0)),
                ('highest', models.FloatField(default=1.0)),
                ('points', models.JSONField(default=list)),
                ('by_score', models.JSONField(default=dict)),
                ('ended_at', models.DateTimeField(null=True)),
                ('baseline', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rounds', to='monitoring.baseline')),
            ],
        ),
        migrations.AddField(
            model_name='alarm',
            name='round',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='alarm', to='monitoring.round'),
        ),
        migrations.CreateModel(
            name='Summary',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('body', models.JSONField()),
                ('model_version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='registry.modelversion')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.site')),
            ],
            options={
                'verbose_name_plural': 'summaries',
            },
        ),
        migrations.CreateModel(
            name='Verdict',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('source', models.CharField(choices=[('reading', 'Reading'), ('label', 'Label')], max_length=16)),
                ('at', models.DateTimeField()),
                ('overrides', models.BooleanField(null=True)),
                ('truth', models.JSONField(default=dict)),
                ('loss', models.FloatField(null=True)),
                ('analysis', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='verdicts', to='analysis.analysis')),
                ('model_version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='registry.modelversion')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='accounts.site')),
            ],
        ),
        migrations.AddConstraint(
            model_name='baseline',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('site', 'model_version', 'kind'), name='baseline_one_in_force'),
        ),
        migrations.AddConstraint(
            model_name='baseline',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None), ('model_version', None)), fields=('site', 'kind'), name='baseline_one_without_version'),
        ),
        migrations.AddConstraint(
            model_name='looked',
            constraint=models.UniqueConstraint(fields=('site', 'source'), name='looked_once_a_source'),
        ),
        migrations.AddIndex(
            model_name='observation',
            index=models.Index(fields=['site', 'model_version', 'at', 'analysis'], name='observation_stream'),
        ),
        migrations.AddConstraint(
            model_name='round',
            constraint=models.UniqueConstraint(fields=('baseline', 'number'), name='round_once_a_number'),
        ),
        migrations.AddIndex(
            model_name='alarm',
            index=models.Index(fields=['site', '-created_at', '-id'], name='alarm_newest'),
        ),
        migrations.AddConstraint(
            model_name='alarm',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['acknowledged', 'closed', 'open'])), name='alarm_status'),
        ),
        migrations.AddConstraint(
            model_name='alarm',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'closed'), _negated=True), fields=('site', 'model_version', 'kind'), name='alarm_one_at_a_time'),
        ),
        migrations.AddConstraint(
            model_name='alarm',
            constraint=models.UniqueConstraint(condition=models.Q(models.Q(('status', 'closed'), _negated=True), ('model_version', None)), fields=('site', 'kind'), name='alarm_one_without_version'),
        ),
        migrations.AddConstraint(
            model_name='summary',
            constraint=models.UniqueConstraint(fields=('site', 'model_version'), name='summary_once_a_version'),
        ),
        migrations.AddIndex(
            model_name='verdict',
            index=models.Index(fields=['site', 'model_version', 'source', 'at', 'id'], name='verdict_stream'),
        ),
        migrations.AddConstraint(
            model_name='verdict',
            constraint=models.UniqueConstraint(fields=('analysis', 'source'), name='verdict_once_a_source'),
        ),
        migrations.RunPython(protect, release),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
