"""Monitoring: compares new cases with their baseline, opens alarms, and updates the summaries."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from django.conf import settings
from django.db import IntegrityError, transaction

from webapp.accounts.models import Site
from webapp.monitoring import observations, services, streams
from webapp.monitoring.kinds import MODEL_KINDS, Signal
from webapp.monitoring.models import MonitoringRun
from webapp.monitoring.selectors import baseline_start, current_run, monitored_versions
from webapp.monitoring.services import RunState
from webapp.monitoring.streams import Case, StreamPosition
from webapp.registry.models import ModelVersion
from webapp.training.schedules import start_on_drift
from worker.jobs.mail.alarms import send_alarms
from worker.jobs.mail.backups import send_backup_failures
from worker.jobs.mail.invitations import send_invitations
from worker.jobs.mail.urgent_cases import send_urgent_cases
from worker.jobs.monitor_summary import summarise
from worker.runner import Job
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
SUMMARY_SECONDS = 600.0
DAY_SECONDS = 86_400.0
POINTS = 120


class MonitorJob(Job):
    """Updates every signal each minute, the summaries every ten, and late feedback once a day."""

    name = "monitor"

    def __init__(self) -> None:
        self._next_summary = self._next_late = 0.0

    def step(self) -> bool:
        now, versions, sites = time.monotonic(), monitored_versions(), list(Site.objects.all())
        late = now >= self._next_late
        while late and observations.observe_backfill():
            pass
        services.alarms_retire()
        for site in sites:
            while observations.collect_feedback(site):
                pass
            if late:
                observations.update_feedback(site)
            look_at(site, versions)
        if now >= self._next_summary:
            self._next_summary = now + SUMMARY_SECONDS
            for site in sites:
                summarise(site, versions)
        self._next_late = now + DAY_SECONDS if late else self._next_late
        send_alarms()
        send_urgent_cases()
        send_backup_failures()
        send_invitations()
        return False


def look_at(site: Site, versions: Sequence[ModelVersion]) -> None:
    """Update every signal of the site."""
    charts = [(version, kind) for version in versions for kind in MODEL_KINDS]
    for version, kind in [*charts, (None, Signal.REFUSALS)]:
        try:
            watch(site, version, kind)
        except IntegrityError:
            logger.info("%s at site %s: another worker was quicker", kind, site.slug)
        except ValueError as error:  # cases with other numbers than the baseline: another release's
            logger.error("%s at site %s cannot be watched: %s", kind, site.slug, describe(error))


def watch(site: Site, version: ModelVersion | None, kind: Signal) -> None:
    """Update one signal: store its baseline, or continue its run with the new cases."""
    from classifier.drift import martingale

    run = current_run(site, version, kind) or begin(site, version, kind)
    while run is not None:
        here = {"after": StreamPosition(run.after, run.after_key), "most": martingale.ROUND}
        count = streams.count(site, version, kind, **here)
        if count > run.cases:
            state = run_state(run, streams.cases(site, version, kind, **here))
            with transaction.atomic():
                alarm = services.run_store(run=run, state=state)
                if alarm and version:
                    start_on_drift(site=site, slot=version.slot)
            if alarm:
                logger.warning("alarm %s: %s at site %s", alarm.pk, kind, site.slug)
        if count < martingale.ROUND or services.has_open_alarm(run):
            return
        run = services.run_next(run=run)


def begin(site: Site, version: ModelVersion | None, kind: Signal) -> MonitoringRun | None:
    """The first run of a new baseline; None while there are too few cases for one."""
    from classifier.drift import martingale

    here = {"after": baseline_start(site, version, kind), "most": settings.HILUM_DRIFT_BASELINE}
    if streams.count(site, version, kind, **here) < settings.HILUM_DRIFT_BASELINE:
        return None
    cases = streams.cases(site, version, kind, **here)
    sample = np.array([case.numbers for case in cases])
    baseline = martingale.fit_baseline(
        sample, names_of(kind, version, sample.shape[1]), seed=cases[0].key.int % 2**32
    )
    return services.baseline_begin(
        site=site, version=version, kind=kind, cases=cases, data=baseline.as_dict()
    )


def names_of(kind: Signal, version: ModelVersion | None, numbers: int) -> list[str]:
    """The names of the numbers of a signal's cases."""
    from classifier.drift.descriptors import PIXEL_NAMES

    if kind == Signal.PIXELS:
        return list(PIXEL_NAMES)
    if kind == Signal.PREDICTIONS and version is not None:
        return sorted(version.model_spec.findings)
    return [str(kind)] if numbers == 1 else [f"axis {index + 1}" for index in range(numbers)]


def run_state(run: MonitoringRun, cases: Sequence[Case]) -> RunState:
    """The state of the run after all of its cases."""
    from classifier.drift import martingale

    baseline = martingale.Baseline.from_dict(run.baseline.data)
    stream = np.array([case.numbers for case in cases])
    trajectory = martingale.run(baseline, stream, np.array([case.draw for case in cases]))
    values = np.nan_to_num(trajectory.capital, posinf=1e300)
    state = {
        "cases": len(cases),
        "latest": cases[-1],
        "martingale": float(values[-1]),
        "max_martingale": float(values.max()),
        "points": points_of(cases, values),
        "by_score": {name: min(value, 1e300) for name, value in trajectory.by_score.items()},
    }
    if trajectory.alarm is None:
        return RunState(**state)
    column = baseline.score_names.index(trajectory.leading)
    changed = baseline.scores(stream)[trajectory.since :, column]
    detail = {
        "score": trajectory.leading,
        "was": float(baseline.calibration[:, column].mean()),
        "is": float(changed.mean()),
        "cases": len(changed),
        "martingale": float(values[trajectory.alarm]),
    }
    return RunState(**state, since=cases[trajectory.since].at, detail=detail)


def points_of(cases: Sequence[Case], values: np.ndarray) -> list[list[Any]]:
    """[[time, log10 of the martingale], ...], thinned to the maximum of each stretch."""
    edges = np.linspace(0, len(cases), min(len(cases), POINTS) + 1).astype(int)
    kept = [first + int(values[first:last].argmax()) for first, last in pairwise(edges)]
    return [[cases[k].at.isoformat(), round(math.log10(max(values[k], 1e-9)), 3)] for k in kept]
