"""Key Object Selections (PS3.3 A.35.4): images that readers marked, and objects that are not to be used."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom import ko
from pydicom import Dataset

from webapp.results.objects import codes
from webapp.results.objects.content import Document, Maker, Reference, SourceImage
from webapp.results.objects.dataset import made_by, reference_dataset, source_dataset, written
from webapp.results.objects.report_parts import device, person

SERIES_NUMBER, REJECTION_SERIES_NUMBER = 9107, 9108


def key_image_selection(
    source: SourceImage, author: str, views: Sequence[str], maker: Maker, document: Document
) -> bytes:
    """The source image as one that the author (a DICOM person name) marked, with the views in words."""
    content = ko.KeyObjectSelection(
        document_title=codes.OF_INTEREST,
        referenced_objects=[source_dataset(source)],
        observer_person_context=person(author, maker),
        observer_device_context=device(maker),
        description="; ".join(views) or None,
    )
    return _document(source, content, [source_dataset(source)], maker, document, SERIES_NUMBER, "Key images")


def rejection_note(
    source: SourceImage, objects: Sequence[Reference], maker: Maker, document: Document, why: str
) -> bytes:
    """Asks archives not to show these earlier objects any more (IHE Imaging Object Change Management).

    `source` is the image as it was filed when they were sent, in the study of all of them.
    """
    header = source_dataset(source)
    referenced = [_rejected(header, reference) for reference in objects]
    content = ko.KeyObjectSelection(
        document_title=codes.REJECTED,
        referenced_objects=referenced,
        observer_device_context=device(maker),
        description=why,
    )
    return _document(
        source, content, referenced, maker, document, REJECTION_SERIES_NUMBER, "Rejected objects"
    )


def _rejected(header: Dataset, reference: Reference) -> Dataset:
    dataset = Dataset()
    dataset.update({element.tag: element for element in header})
    for keyword in ("Rows", "Columns"):
        delattr(dataset, keyword)
    dataset.update(reference_dataset(reference))
    return dataset


def _document(
    source: SourceImage,
    content: ko.KeyObjectSelection,
    evidence: Sequence[Dataset],
    maker: Maker,
    document: Document,
    series_number: int,
    description: str,
) -> bytes:
    selection = ko.KeyObjectSelectionDocument(
        evidence=evidence,
        content=content,
        coding_schemes=None,
        **made_by(maker, document, series_number=series_number, description=description),
    )
    return written(selection, source, document)
