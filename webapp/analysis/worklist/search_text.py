"""By what a study is found: the text that the search looks through, and what it asks of it.

A patient's identifiers and names, with those of the records merged into them, stand in one text: in capitals,
each part after a bar. So one index of trigrams serves words and beginnings, in one table.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

from django.db.models import Q

from webapp.scans.models import Patient
from webapp.scans.patients.identity import merged_into

SHORT = 3
_SEPARATORS = re.compile(r"[\s^=,|-]+")


def search_text(patient_id: str, name: str) -> str:
    """`P-42` and `DOE^Jane` become `|P|42|DOE|JANE|`."""
    return f"|{_SEPARATORS.sub('|', f'{patient_id}|{name}'.upper()).strip('|')}|"


def matches(search: str) -> Q:
    """Every word stands in an identifier or name of the patient, or all of it begins the accession number.

    A word of one or two letters has to begin a part of them.
    """
    found = Q()
    for word in search.split():
        part = _SEPARATORS.sub("|", word.upper())
        found &= Q(who__contains=f"|{part.strip('|')}" if len(part.strip("|")) < SHORT else part)
    return found | Q(number__startswith=search.strip().upper())


def who_of(patients: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The text of each patient, with the records that were merged into them."""
    keys = set(patients)
    into, texts = merged_into(keys), dict.fromkeys(keys, "")
    known = Patient.objects.filter(pk__in=into).order_by("created_at", "pk")
    for key, patient_id, name in known.values_list("pk", "patient_id", "name"):
        texts[into[key]] += search_text(patient_id, name)
    return texts
