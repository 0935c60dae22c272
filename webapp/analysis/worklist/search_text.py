"""By what a study is found: the text that the search looks through, and what it asks of it.

A patient's identifiers and names, with those of the records merged into them, stand in one text: folded,
each part after a bar. So one index of trigrams serves words and beginnings, in one table.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import Q

from webapp.scans.models import Patient
from webapp.scans.patients.identity import merged_into
from webapp.scans.patients.person_name import search_parts, search_words

SHORT = 3


def search_text(patient_id: str, name: str) -> str:
    """`P-42` and `DOE^Jane` become `|p|42|doe|jane|`."""
    return search_parts(f"{patient_id}|{name}")


def matches(search: str) -> Q:
    """Every word stands in an identifier or name of the patient, or all of it begins the accession number.

    A word of one or two letters has to begin a part of them.
    """
    found = Q()
    for part in search_words(search):
        found &= Q(who__contains=f"|{part.strip('|')}" if len(part.strip("|")) < SHORT else part)
    return (found if found else Q(pk=None)) | Q(number__startswith=search.strip().upper())


def who_of(patients: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The text of each patient, with the records that were merged into them."""
    keys = set(patients)
    into, texts = merged_into(keys), dict.fromkeys(keys, "")
    known = Patient.objects.filter(pk__in=into).order_by("created_at", "pk")
    for key, patient_id, name in known.values_list("pk", "patient_id", "name"):
        texts[into[key]] += search_text(patient_id, name)
    return texts
