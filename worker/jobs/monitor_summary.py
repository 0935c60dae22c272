"""The numbers of the monitoring page: rates and performance, by week and by group, each with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from webapp.accounts.models import Site
from webapp.monitoring import counts
from webapp.monitoring.counts import GROUPS, LabelledResult, Tally
from webapp.monitoring.intervals import rate
from webapp.monitoring.services import summary_store
from webapp.registry.models import ModelVersion

FEWEST = 10  # cases with and without a finding below which there is no AUC
DRAWS = 300
ROLLING = timedelta(weeks=4)  # a week alone has too few labels for an AUC


def summarise(site: Site, versions: Iterable[ModelVersion]) -> None:
    """Compute and store the page's numbers of these versions at the site."""
    files, refusals = counts.files(site)
    for version in versions:
        truths = counts.labelled(site, version)
        weeks = counts.tallies(site, version, "week")
        body = {
            "from": counts.begin().isoformat(),
            **rates_of(summed(weeks.values())),
            "reasons": counts.reasons(site, version),
            "refused": rate(sum(k for _, k in files.values()), sum(n for n, _ in files.values())),
            "refusals": refusals,
            "labelled": len(truths),
            "performance": performance(truths, version),
            "weeks": by_week(weeks, files, truths, version),
            "groups": {name: by_group(site, version, name, truths) for name in GROUPS},
        }
        summary_store(site=site, version=version, body=body)


def rates_of(tally: Tally) -> dict[str, Any]:
    results = tally.cases - tally.abstained
    return {
        "cases": tally.cases,
        "abstained": rate(tally.abstained, tally.cases),
        "overrides": rate(tally.overrides, tally.judged),
        "reported": {finding: rate(n, results) for finding, n in sorted((tally.reported or {}).items())},
    }


def summed(tallies: Iterable[Tally]) -> Tally:
    whole = Tally(reported={})
    for one in tallies:
        whole.cases, whole.abstained = whole.cases + one.cases, whole.abstained + one.abstained
        whole.judged, whole.overrides = whole.judged + one.judged, whole.overrides + one.overrides
        for finding, n in (one.reported or {}).items():
            whole.reported[finding] = whole.reported.get(finding, 0) + n
    return whole


def by_week(
    tallies: Mapping[datetime, Tally],
    files: Mapping[datetime, tuple[int, int]],
    truths: Sequence[LabelledResult],
    version: ModelVersion,
) -> list[dict[str, Any]]:
    """Every week from the first one with data, empty ones too; performance over ROLLING."""
    known = sorted({*tallies, *files})
    if not known:
        return []
    weeks = [known[0] + timedelta(weeks=k) for k in range((known[-1] - known[0]).days // 7 + 1)]
    rows = []
    for week in weeks:
        read, refused = files.get(week, (0, 0))
        end = week + timedelta(weeks=1)
        of_week = [one for one in truths if week <= one.at < end]
        lately = [one for one in truths if end - ROLLING <= one.at < end]
        rows.append(
            {
                "from": week.isoformat(),
                **rates_of(tallies.get(week, Tally())),
                "refused": rate(refused, read),
                "labelled": len(of_week),
                "performance": performance(lately, version),
            }
        )
    return rows


def by_group(
    site: Site, version: ModelVersion, name: str, truths: Sequence[LabelledResult]
) -> list[dict[str, Any]]:
    """The largest groups first; the rest of a long list is put together as one, `others`."""
    tallies = counts.tallies(site, version, name)

    def row(label: str, tally: Tally, groups: Sequence[str]) -> dict[str, Any]:
        cases = [one for one in truths if one.groups[name] in groups]
        measured = {"labelled": len(cases), "performance": performance(cases, version)}
        return {"name": label, **rates_of(tally), **measured}

    ranked = sorted(tallies, key=lambda group: -tallies[group].cases)
    shown, rest = ranked[: counts.GROUPS_AT_MOST], ranked[counts.GROUPS_AT_MOST :]
    rows = [row(group, tallies[group], [group]) for group in shown]
    if rest:
        rows.append(row("others", summed(tallies[group] for group in rest), rest))
    return rows


def performance(truths: Sequence[LabelledResult], version: ModelVersion) -> dict[str, Any]:
    """By finding, of the cases in which it is known: how many there are, AUC, sensitivity, specificity."""
    spec = version.model_spec
    measured = {}
    for finding in spec.findings:
        known = [one for one in truths if finding in one.ground_truth and finding in one.probabilities]
        if not known:
            continue
        scores = np.array([one.probabilities[finding] for one in known])
        there = np.array([one.ground_truth[finding] for one in known])
        positive = scores >= spec.threshold(finding)
        measured[finding] = {
            "present": int(there.sum()),
            "absent": int((~there).sum()),
            "auc": _auc(scores, there, [str(one.patient) for one in known]),
            "sensitivity": rate(int((positive & there).sum()), int(there.sum())),
            "specificity": rate(int((~positive & ~there).sum()), int((~there).sum())),
        }
    return measured


def _auc(scores: np.ndarray, there: np.ndarray, patients: Sequence[str]) -> dict[str, float | None] | None:
    """With its 95 % interval, by drawing whole patients; None where there are too few cases on a side."""
    from classifier.evaluation import bootstrap, metrics

    if min(there.sum(), (~there).sum()) < FEWEST:
        return None
    found = bootstrap.intervals(
        lambda weights: {"auc": metrics.auc(scores, there, weights)}, patients, draws=DRAWS, seed=0
    )
    return found["auc"]
