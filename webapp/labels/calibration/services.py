"""Setting a site's calibration of a model version."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from webapp.accounts.models import Site, User
from webapp.core.errors import CodedError
from webapp.labels.calibration.choices import Choices
from webapp.labels.calibration.preview import preview
from webapp.registry.calibrations import calibration_add
from webapp.registry.models import ModelVersion, SiteCalibration


def calibration_set(
    *,
    site: Site,
    version: ModelVersion,
    choices: Choices,
    by: User,
    reason: str,
    fingerprint: str = "",
    until: datetime | None = None,
) -> SiteCalibration:
    """Fit as `preview` does, and use it for new results of the site from now on.

    Results that exist keep the calibration that they were made with. `fingerprint` and `until` are those of
    the preview: so nothing is set that was not seen. Raises what `preview` raises, `too_few_labels`,
    `reason_missing`, and `conflict` when the labels have changed since.
    """
    found = preview(site=site, version=version, choices=choices, by=by, until=until)
    if fingerprint and fingerprint != found.cases.fingerprint:
        raise CodedError("conflict", "The labels have changed since the preview.", "Preview again.")
    if found.problems:
        raise CodedError("too_few_labels", " ".join(found.problems))
    spec = version.model_spec
    own = {finding: spec.threshold(finding) for finding in spec.findings}
    if not found.correction.changes and found.thresholds == own:
        raise CodedError("invalid", "This calibration would change nothing.", "Change a setting.")
    return calibration_add(
        site=site,
        version=version,
        choices=asdict(choices),
        correction=found.correction.as_dict(),
        thresholds=found.thresholds,
        report=found.report(),
        by=by,
        reason=reason,
    )
