"""An administrator of the site, and a model version with results there."""

from __future__ import annotations

import pytest

from tests import labelled_results


@pytest.fixture
def boss(person, site):
    return person("boss", role="admin", site=site)


@pytest.fixture
def version(db):
    return labelled_results.model()
