"""A version that returns at the site, and an alarm that its images have raised."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests import factories
from webapp.monitoring.kinds import Signal
from webapp.monitoring.models import Alarm
from webapp.monitoring.services import RunState, baseline_begin, run_store
from webapp.monitoring.streams import cases
from webapp.registry.models import ModelVersion

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def version(db) -> ModelVersion:
    return factories.ModelVersionFactory()


@pytest.fixture
def admin(person, site):
    return person("ada", role="admin", site=site)


@pytest.fixture
def alarm(site, version) -> Alarm:
    """Thirty returns were the reference; the next ten raised an alarm from the fourth on."""
    factories.finished_analyses(site, version, 40)
    stream = cases(site, version, Signal.PIXELS, after=None, most=100)
    run = baseline_begin(
        site=site, version=version, kind=Signal.PIXELS, cases=stream[:30], data={"names": []}
    )
    state = RunState(
        cases=10,
        latest=stream[-1],
        martingale=250.0,
        max_martingale=250.0,
        points=[[stream[-1].at.isoformat(), 2.398]],
        by_score={"brightness": 4000.0},
        since=stream[33].at,
        detail={"score": "brightness", "was": 0.41, "is": 0.62, "cases": 7, "martingale": 120.0},
    )
    return run_store(run=run, state=state)
