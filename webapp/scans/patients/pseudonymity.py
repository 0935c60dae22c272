"""Sites that de-identify on ingest: uploads carry keyed pseudonyms from their arrival on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from django.conf import settings

from classifier.images.age import stated_age
from classifier.images.deidentify.pseudonyms import DeidentifyOptions, Pseudonyms, derive_key
from classifier.images.deidentify.terms import term_of
from webapp.accounts.models import Site
from webapp.core.errors import CodedError
from webapp.scans.uploads.stated_metadata import StatedMetadata, is_uid

_NOT_TEXT = {"split", "offset_days"}
_TERMS = {"view": "ViewPosition", "sex": "PatientSex", "modality": "Modality"}
OLDEST = 90  # years, as `classifier.images.deidentify` has it


def removal_for(site: Site) -> DeidentifyOptions | None:
    """How uploads to the site are de-identified; None where they are not.

    Sex and age are kept: whether a model applies depends on the age. Raises CodedError `unavailable` without
    a key, so that nothing is imported with its identity.
    """
    if not site.deidentify_on_ingest:
        return None
    try:
        key = derive_key(settings.DEIDENTIFY_KEY.encode(), str(site.pk))
    except ValueError as error:
        raise CodedError(
            "unavailable",
            "This site de-identifies uploads, but has no key.",
            "Ask an administrator to set DEIDENTIFY_KEY.",
        ) from error
    return DeidentifyOptions(key, keep_characteristics=True)


def known_as(site: Site, patient_id: str) -> str:
    """The patient's identifier at the site: the pseudonym where the site de-identifies."""
    removal = removal_for(site)
    return Pseudonyms(removal.key).patient(patient_id) if removal else patient_id


def kept_name(site: Site, name: str, sha256: str) -> str:
    """The name of a list of patients: where the site de-identifies, one of its content."""
    return f"manifest-{sha256[:12]}" if site.deidentify_on_ingest else " ".join(name.split())


def attributes_for_site(site: Site, attributes: Mapping[str, str]) -> dict[str, str]:
    """What a list states of an image as the site may keep it: terms, ages up to 90, a pseudonymous origin."""
    removal = removal_for(site)
    if removal is None:
        return dict(attributes)
    kept = {name: text for name, text in attributes.items() if name in _NOT_TEXT}
    for name, keyword in _TERMS.items():
        if term := term_of(keyword, attributes.get(name, "")):
            kept[name] = term
    if (years := stated_age(attributes.get("age"))) is not None:
        kept["age"] = f"{min(years, OLDEST):g}"
    if origin := attributes.get("source"):
        kept["source"] = Pseudonyms(removal.key).short("source", origin)
    return kept


def metadata_for_site(site: Site, stated: StatedMetadata) -> StatedMetadata:
    """The stated metadata as the site may keep them; pseudonymous ones are returned unchanged.

    A date without a patient is dropped: it could not be shifted by the patient's offset. Ages end at 90.
    """
    removal = removal_for(site)
    if removal is None:
        return stated
    pseudonyms = Pseudonyms(removal.key)
    if (stated_age(stated.age) or 0) > OLDEST:
        stated = replace(stated, age=f"{OLDEST:03}Y")
    uid = is_uid(stated.study)
    study = pseudonyms.uid(stated.study) if uid else pseudonyms.short("accession", stated.study)
    if not stated.patient_id:
        return replace(stated, study=study, date=None)
    if pseudonyms.is_patient(stated.patient_id):
        return replace(stated, study=study)
    try:
        moved = stated.date and stated.date - timedelta(days=pseudonyms.days(stated.patient_id))
    except OverflowError:
        moved = None
    return replace(stated, patient_id=pseudonyms.patient(stated.patient_id), study=study, date=moved)
