"""Manifests that are taken in as history, line by line."""
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_label_permissions'),
        ('labels', '0002_labels_and_queues'),
        ('scans', '0006_study_by_uid'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Manifest',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('name', models.CharField(max_length=100)),
                ('sha256', models.CharField(max_length=64)),
                ('findings', models.JSONField()),
                ('looked_at', models.DateTimeField(blank=True, null=True)),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='manifests', to='accounts.site')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='ManifestLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('image', models.CharField(blank=True, max_length=255)),
                ('sha256', models.CharField(blank=True, max_length=64)),
                ('patient', models.CharField(max_length=64)),
                ('taken_on', models.DateField(blank=True, null=True)),
                ('findings', models.JSONField()),
                ('facts', models.JSONField(default=dict)),
                ('status', models.CharField(choices=[('waiting', 'Waiting'), ('labelled', 'Labelled'), ('silent', 'Silent'), ('wrong', 'Wrong')], default='waiting', max_length=16)),
                ('problem', models.CharField(blank=True, max_length=64)),
                ('label', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='labels.label')),
                ('manifest', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='labels.manifest')),
                ('upload', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='scans.upload')),
            ],
            options={
                'ordering': ['number'],
            },
        ),
        migrations.AddConstraint(
            model_name='manifest',
            constraint=models.UniqueConstraint(fields=('site', 'sha256'), name='manifest_once_a_site'),
        ),
        migrations.AddIndex(
            model_name='manifestline',
            index=models.Index(fields=['manifest', 'status'], name='line_by_status'),
        ),
        migrations.AddConstraint(
            model_name='manifestline',
            constraint=models.UniqueConstraint(fields=('manifest', 'number'), name='line_once_a_manifest'),
        ),
    ]
