"""`manage.py promote_model ID --by USER --reason TEXT`: make a model version the active one of its slot."""

from __future__ import annotations

import uuid

from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.management.lookup import user_named
from webapp.core.errors import CodedError
from webapp.registry.models import ModelVersion
from webapp.registry.services import model_promote


class Command(BaseCommand):
    help = "Make a model version the active one of its slot; the one before is retired."

    def add_arguments(self, parser):
        parser.add_argument("id", type=uuid.UUID)
        parser.add_argument("--by", required=True, help="user name of the promoting person")
        parser.add_argument("--reason", required=True)
        parser.add_argument(
            "--override", action="store_true", help="even if the candidate has not passed the promotion gate"
        )

    def handle(self, *args, **options):
        version = ModelVersion.objects.filter(pk=options["id"]).first()
        if version is None:
            raise CommandError(f"There is no model version {options['id']}.")
        person = user_named(options["by"])
        try:
            promotion = model_promote(
                model_version=version, by=person, reason=options["reason"], override=options["override"]
            )
        except CodedError as error:
            raise CommandError(f"{error.message} {error.remedy}") from error
        replaced = f" and replaces {promotion.previous}" if promotion.previous else ""
        self.stdout.write(f"{version} is active{replaced}.")
