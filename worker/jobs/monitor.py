"""Monitor: holds what came in against its reference, opens alarms, and sums up what the page shows."""

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
from webapp.monitoring.kinds import OF_MODELS, Kind
from webapp.monitoring.models import Round
from webapp.monitoring.selectors import begin_of, round_in_force, watched_versions
from webapp.monitoring.services import Standing
from webapp.monitoring.streams import Case, Mark
from webapp.registry.models import ModelVersion
from webapp.training.schedules import start_on_drift
from worker.jobs.alarm_mail import send_alarms
from worker.jobs.monitor_summary import summarise
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
SUMMARY_SECONDS = 600.0
DAY_SECONDS = 86_400.0
POINTS = 120


class MonitorJob:
    """Looks at every site's streams each minute, sums up every ten, looks for late verdicts once a day."""

    name = "monitor"

    def __init__(self) -> None:
        self._next_summary = self._next_late = 0.0

    def prepare(self) -> None:
        pass

    def close(self) -> None:
        pass

    def step(self) -> bool:
        now, versions, sites = time.monotonic(), watched_versions(), list(Site.objects.all())
        late = now >= self._next_late
        while late and observations.observe_earlier():
            pass
        services.alarms_retire()
        for site in sites:
            while observations.judge(site):
                pass
            if late:
                observations.judge_again(site)
            look_at(site, versions)
        if now >= self._next_summary:
            self._next_summary = now + SUMMARY_SECONDS
            for site in sites:
                summarise(site, versions)
        self._next_late = now + DAY_SECONDS if late else self._next_late
        send_alarms()
        return False


def look_at(site: Site, versions: Sequence[ModelVersion]) -> None:
    """Bring every chart of the site up to date."""
    charts = [(version, kind) for version in versions for kind in OF_MODELS]
    for version, kind in [*charts, (None, Kind.REFUSALS)]:
        try:
            watch(site, version, kind)
        except IntegrityError:
            logger.info("%s at site %s: another worker was quicker", kind, site.slug)
        except ValueError as error:  # cases with other numbers than the reference: another release's
            logger.error("%s at site %s cannot be watched: %s", kind, site.slug, describe(error))


def watch(site: Site, version: ModelVersion | None, kind: Kind) -> None:
    """Bring one chart up to date: begin its reference, or go on with its round, as far as there are cases."""
    from classifier.drift import martingale

    round = round_in_force(site, version, kind) or begin(site, version, kind)
    while round is not None:
        here = {"behind": Mark(round.after, round.after_key), "most": martingale.ROUND}
        count = streams.count(site, version, kind, **here)
        if count > round.cases:
            standing = standing_of(round, streams.cases(site, version, kind, **here))
            with transaction.atomic():
                alarm = services.round_store(round=round, standing=standing)
                if alarm and version:
                    start_on_drift(site=site, slot=version.slot)
            if alarm:
                logger.warning("alarm %s: %s at site %s", alarm.pk, kind, site.slug)
        if count < martingale.ROUND or services.is_alarmed(round):
            return
        round = services.round_next(round=round)


def begin(site: Site, version: ModelVersion | None, kind: Kind) -> Round | None:
    """The first round of a new reference, None as long as there are too few cases for one."""
    from classifier.drift import martingale

    here = {"behind": begin_of(site, version, kind), "most": settings.HILUM_DRIFT_REFERENCE}
    if streams.count(site, version, kind, **here) < settings.HILUM_DRIFT_REFERENCE:
        return None
    cases = streams.cases(site, version, kind, **here)
    sample = np.array([case.numbers for case in cases])
    reference = martingale.fit(
        sample, names_of(kind, version, sample.shape[1]), seed=cases[0].key.int % 2**32
    )
    return services.baseline_begin(
        site=site, version=version, kind=kind, cases=cases, data=reference.as_dict()
    )


def names_of(kind: Kind, version: ModelVersion | None, numbers: int) -> list[str]:
    """What the numbers of a kind's cases are called."""
    from classifier.drift.descriptors import PIXEL_NAMES

    if kind == Kind.PIXELS:
        return list(PIXEL_NAMES)
    if kind == Kind.PREDICTIONS and version is not None:
        return sorted(version.model_spec.findings)
    return [str(kind)] if numbers == 1 else [f"axis {index + 1}" for index in range(numbers)]


def standing_of(round: Round, cases: Sequence[Case]) -> Standing:
    """How the round stands after these cases, all that it has by now."""
    from classifier.drift import martingale

    reference = martingale.Reference.from_dict(round.baseline.data)
    stream = np.array([case.numbers for case in cases])
    course = martingale.watch(reference, stream, np.array([case.draw for case in cases]))
    capital = np.nan_to_num(course.capital, posinf=1e300)
    standing = {
        "cases": len(cases),
        "latest": cases[-1],
        "capital": float(capital[-1]),
        "highest": float(capital.max()),
        "points": points_of(cases, capital),
        "by_score": {name: min(value, 1e300) for name, value in course.by_score.items()},
    }
    if course.alarm is None:
        return Standing(**standing)
    column = reference.score_names.index(course.leading)
    changed = reference.scores(stream)[course.since :, column]
    detail = {
        "score": course.leading,
        "was": float(reference.calibration[:, column].mean()),
        "is": float(changed.mean()),
        "cases": len(changed),
        "capital": float(capital[course.alarm]),
    }
    return Standing(**standing, since=cases[course.since].at, detail=detail)


def points_of(cases: Sequence[Case], capital: np.ndarray) -> list[list[Any]]:
    """[[moment, log10 of the capital], ...], the highest of each stretch where there are many."""
    edges = np.linspace(0, len(cases), min(len(cases), POINTS) + 1).astype(int)
    told = [first + int(capital[first:last].argmax()) for first, last in pairwise(edges)]
    return [[cases[k].at.isoformat(), round(math.log10(max(capital[k], 1e-9)), 3)] for k in told]
