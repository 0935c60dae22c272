"""A scan of the site with its queued analysis, claimed and answered as a worker does it."""

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
def answer():
    """Claims what is queued and answers all of it: `answer(pneumonia=0.8)`."""

    def answer(abstention=None, **probabilities):
        said = prediction(**probabilities)
        if abstention:
            object.__setattr__(said, "abstention", abstention)
        analyses = Analysis.objects.claim(50)
        for analysis in analyses:
            assert services.analysis_done(analysis=analysis, prediction=said, cam=cam(), seconds=0.1)
        return analyses

    return answer


@pytest.fixture
def fail():
    """Claims what is queued and fails all of it."""

    def fail(code: str = "out_of_memory"):
        for analysis in Analysis.objects.claim(50):
            analysis.fail(code)

    return fail
