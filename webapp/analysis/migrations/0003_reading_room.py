"""What the worklist filters and sorts by, saved views, and marks."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models
from django.db.models import Case, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, Upper

from webapp.analysis import search_index
from webapp.analysis.names import search_text


def fill(apps, schema_editor):
    """What the new columns say of the studies that are there; of a normal study only the severity is coarse."""
    summary = apps.get_model("analysis", "StudySummary")
    study = apps.get_model("scans", "Study").objects.filter(pk=OuterRef("study_id"))
    scan = apps.get_model("scans", "Scan").objects.filter(pk=OuterRef("worst_scan_id"))
    answered = Q(probability__isnull=False)
    summary.objects.update(
        study_at=Subquery(study.values("study_at")[:1]),
        modality=Coalesce(Subquery(scan.values("series__modality")[:1]), Value("")),
        severity=Case(
            When(answered & Q(finding="normal"), then=1 - F("probability")),
            When(answered & Q(finding=""), then=1 + F("probability")),
            When(answered, then=2 + F("probability")),
            default=Value(-1.0),
        ),
        number=Upper(Subquery(study.values("accession_number")[:1])),
    )
    patients = apps.get_model("scans", "Patient").objects
    merges = dict(apps.get_model("scans", "PatientMerge").objects.filter(parted_at=None).values_list("source", "target"))
    who = {key: search_text(*said) for key, *said in patients.values_list("pk", "patient_id", "name")}
    for source in merges:
        end = source
        while end in merges:
            end = merges[end]
        who[end] += search_text(*patients.values_list("patient_id", "name").get(pk=source))
    for patient, text in who.items():
        summary.objects.filter(study__patient=patient).update(who=text)
    if schema_editor.connection.vendor == "postgresql":
        # The table is altered next, which waits for no check that is due at the end.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def index(apps, schema_editor):
    """Let PostgreSQL find a part of a name, and the beginning of a number."""
    search_index.build(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_deidentify_on_ingest'),
        ('analysis', '0002_newest_first'),
        ('scans', '0004_stored_sha256'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('name', models.CharField(max_length=60)),
                ('search', models.JSONField(default=dict)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='StudyMark',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
        ),
        migrations.AddField(
            model_name='studysummary',
            name='modality',
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name='studysummary',
            name='read_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='studysummary',
            name='reader',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='studysummary',
            name='severity',
            field=models.FloatField(default=-1.0),
        ),
        migrations.AddField(
            model_name='studysummary',
            name='study_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='studysummary',
            name='who',
            field=models.TextField(blank=True, default=''),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='studysummary',
            name='number',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            model_name='studysummary',
            name='study_at',
            field=models.DateTimeField(),
        ),
        migrations.RunPython(index, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name='studysummary',
            index=models.Index(fields=['-latest_at', '-study'], name='worklist_of_all_sites'),
        ),
        migrations.AddIndex(
            model_name='studysummary',
            index=models.Index(fields=['site', 'modality', '-latest_at'], name='worklist_by_modality'),
        ),
        migrations.AddIndex(
            model_name='studysummary',
            index=models.Index(fields=['site', 'reader', '-latest_at'], name='worklist_by_reader'),
        ),
        migrations.AddIndex(
            model_name='studysummary',
            index=models.Index(fields=['site', 'probability'], name='worklist_by_probability'),
        ),
        migrations.AddIndex(
            model_name='studysummary',
            index=models.Index(fields=['site', '-severity', '-study'], name='worklist_worst'),
        ),
        migrations.AddIndex(
            model_name='studysummary',
            index=models.Index(fields=['site', '-uncertainty', '-study'], name='worklist_least_certain'),
        ),
        migrations.AddIndex(
            model_name='studysummary',
            index=models.Index(fields=['site', '-study_at', '-study'], name='worklist_by_study_date'),
        ),
        migrations.AddField(
            model_name='savedview',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='worklist_views', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='studymark',
            name='study',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='marks', to='scans.study'),
        ),
        migrations.AddField(
            model_name='studymark',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='marks', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.UniqueConstraint(fields=('user', 'name'), name='view_once_a_name'),
        ),
        migrations.AddConstraint(
            model_name='studymark',
            constraint=models.UniqueConstraint(fields=('user', 'study'), name='mark_once_a_person'),
        ),
    ]
