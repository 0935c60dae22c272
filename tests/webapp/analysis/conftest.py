"""A scan of the site with its queued analysis, claimed and processed as a worker does it."""

from __future__ import annotations

import pytest

from tests.factories import ModelVersionFactory, ScanFactory, cam, prediction
from webapp.analysis import services
from webapp.analysis.models import Analysis


@pytest.fixture
def model(db):
    return ModelVersionFactory(number=1)


@pytest.fixture
def queued(site, model):
    """Makes a scan and queues it: `queued(series__study=study)`."""

    def queued(**details):
        scan = ScanFactory(site=site, **details)
        services.analyses_queue([scan])
        return scan

    return queued


@pytest.fixture
def finished_analysis():
    """Claims what is queued and returns all of it: `finished_analysis(pneumonia=0.8)`."""

    def finished_analysis(abstention=None, **probabilities):
        text = prediction(**probabilities)
        if abstention:
            object.__setattr__(text, "abstention", abstention)
        analyses = Analysis.objects.claim(50)
        for analysis in analyses:
            assert services.analysis_done(analysis=analysis, prediction=text, cam=cam(), seconds=0.1)
        return analyses

    return finished_analysis


@pytest.fixture
def fail():
    """Claims what is queued and fails all of it."""

    def fail(code: str = "out_of_memory"):
        for analysis in Analysis.objects.claim(50):
            analysis.fail(code)

    return fail
