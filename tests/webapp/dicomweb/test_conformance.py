"""docs/dicom-conformance.md states what the program does."""

from __future__ import annotations

from tests.docs.blocks import ROOT
from webapp.dicom.contexts import accepted_contexts
from webapp.dicom.listener.statuses import STATUSES
from webapp.dicomweb.conformance import statement

PAGE = ROOT / "docs" / "dicom-conformance.md"


def test_the_statement_is_current():
    written = PAGE.read_text()
    assert written == statement(), "run: python manage.py dicom_conformance > docs/dicom-conformance.md"


def test_it_names_every_storage_class_transfer_syntax_and_status():
    written = PAGE.read_text()
    for context in accepted_contexts()[2:]:
        assert f"| {context.abstract_syntax} |" in written
        assert all(f"| {syntax} |" in written for syntax in context.transfer_syntax)
    assert all(f"| {status.code:04X} | {status.meaning} |" in written for status in STATUSES)
