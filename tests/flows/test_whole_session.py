"""`tools/tour.py`: a reader's whole session on simulated patients, without one complaint of the browser.

Comes after the other flows, whose simulated patients have the same identifiers.
"""

from __future__ import annotations

import importlib.util

import pytest

from tests.flows.conftest import PASSWORD, ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_reader_gets_from_a_folder_to_the_report(chromium, hilum, tmp_path):
    from classifier.phantom.collection import write_collection

    spec = importlib.util.spec_from_file_location("tour", ROOT / "tools" / "tour.py")
    tour = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tour)
    folder, out = tmp_path / "films", tmp_path / "images"
    folder.mkdir()
    write_collection(folder, patients=2, seed=31, size=384)
    context = chromium.new_context(base_url=hilum.url)
    session = tour.Tour(context.new_page(), out, sizes=["1366"], themes=("light",))
    session.run([folder], user="clinician", password=PASSWORD)
    context.close()
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    images = list(out.glob("*-1366-light.png"))
    assert len(images) == session.steps >= 18
    assert all(image.stat().st_size > 5_000 for image in images)
