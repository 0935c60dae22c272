"""Sites that keep no identity: what is handed in there is known by keyed pseudonyms from its arrival on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from django.conf import settings

from classifier.images.deidentify.pseudonyms import DeidentifyOptions, Pseudonyms, derive_key
from webapp.accounts.models import Site
from webapp.core.errors import CodedError
from webapp.scans.uploads.stated_metadata import Claim, is_uid


def removal_for(site: Site) -> DeidentifyOptions | None:
    """How identity is removed from what comes to the site; None where it is kept.

    Sex and age stay: whether a model may answer depends on the age. Raises CodedError `unavailable` where
    there is no key: nothing is taken in with its identity instead.
    """
    if not site.deidentify_on_ingest:
        return None
    try:
        key = derive_key(settings.DEIDENTIFY_KEY.encode(), str(site.pk))
    except ValueError as error:
        raise CodedError(
            "unavailable",
            "This site removes identity from what comes in, and has no key for it.",
            "Ask an administrator to set DEIDENTIFY_KEY.",
        ) from error
    return DeidentifyOptions(key, keep_characteristics=True)


def known_as(site: Site, patient_id: str) -> str:
    """The identifier by which the site knows a patient: their pseudonym where it keeps no identity."""
    removal = removal_for(site)
    return Pseudonyms(removal.key).patient(patient_id) if removal else patient_id


def claim_at(site: Site, claim: Claim) -> Claim:
    """What the site may keep of a claim; one that is pseudonymous already stays as it is.

    A date that no patient is claimed for is dropped: it could not be moved by as much as theirs.
    """
    removal = removal_for(site)
    if removal is None:
        return claim
    pseudonyms = Pseudonyms(removal.key)
    study = pseudonyms.uid(claim.study) if is_uid(claim.study) else pseudonyms.short("accession", claim.study)
    if not claim.patient_id:
        return replace(claim, study=study, date=None)
    if pseudonyms.is_patient(claim.patient_id):
        return replace(claim, study=study)
    try:
        moved = claim.date and claim.date - timedelta(days=pseudonyms.days(claim.patient_id))
    except OverflowError:
        moved = None
    return replace(claim, patient_id=pseudonyms.patient(claim.patient_id), study=study, date=moved)
