from django.db import migrations

from webapp.audit.migrations import _database


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0002_chained_events'),
    ]

    operations = [
        migrations.RunPython(_database.chain_earlier_events, migrations.RunPython.noop),
        migrations.RunPython(_database.create, _database.drop),
    ]
