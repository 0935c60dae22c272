"""The label queue's order by drift: what lies farthest from the reference is asked for first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests import factories
from webapp.labels.queue_order import in_order
from webapp.monitoring.kinds import Signal
from webapp.monitoring.nonconformity import nonconformity_scores
from worker.jobs.monitor import watch

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 1, tzinfo=UTC)


def scan_of(site, version, *, shift: float, seed: int):
    at = START + timedelta(days=10 + seed)
    [analysis] = factories.finished_analyses(site, version, 1, seed=seed, shift=shift, at=at)
    return analysis.scan_id


def test_the_strangest_image_comes_first_and_one_without_a_reference_last(site, other_site, settings):
    settings.HILUM_DRIFT_BASELINE = 100
    version = factories.ModelVersionFactory()
    factories.finished_analyses(site, version, 120)
    usual = scan_of(site, version, shift=0.0, seed=1)
    assert nonconformity_scores([usual], ["normal"]) == {}, "there is no reference yet"
    for kind in (Signal.PIXELS, Signal.FEATURES):
        watch(site, version, kind)
    strange, outsider = (scan_of(site, version, shift=shift, seed=2) for shift in (2.0, 5.0))
    elsewhere = scan_of(other_site, version, shift=9.0, seed=3)
    keys = [elsewhere, usual, outsider, strange]
    ranked = in_order(keys, ["normal"], order="drift", seed="a")
    assert [key for key, _ in ranked] == [outsider, strange, usual, elsewhere]
    scores = dict(ranked)
    assert scores[usual] == pytest.approx(1, abs=0.5), "about a spread, as usual images lie"
    assert scores[elsewhere] is None
    assert max(score for score in scores.values() if score) <= 8
