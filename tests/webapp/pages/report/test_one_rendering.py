"""Viewer, thumbnail, report and model get one image: the same brightness from the same stored values."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from classifier.contract import Slot
from classifier.errors import Refused
from classifier.images.raster.png import read_working
from classifier.images.sandbox.client import ParsingHelper
from tests.classifier.images.samples import chest, dataset, write
from webapp.core import storage
from webapp.pages.report.images import plain
from webapp.pages.scan.images import grey_levels, thumbnail
from webapp.scans.models import Scan
from webapp.scans.uploads.files import store_parsed

FIRST, ENTRIES = 600, 2048

SIDE = 8  # at which the images are compared, whatever filter made each small
MOST = 5.0  # grey levels of 255
Shown = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def helper() -> Iterator[ParsingHelper]:
    with ParsingHelper() as started:
        yield started


@pytest.fixture
def shown(helper: ParsingHelper, tmp_path: Path) -> Callable[[Path], Shown]:
    """The image of a file at each place, uploaded as ingest does it, as brightness 0..255."""

    def render(path: Path) -> Shown:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        facts = helper.parse(path, folder)
        files = store_parsed(scan_id=uuid.uuid4(), token=uuid.uuid4(), facts=facts, folder=folder).files
        scan = Scan(
            rows=facts.rows,
            columns=facts.columns,
            window_center=facts.window_center,
            window_width=facts.window_width,
            display_name=files["display"].name,
            preview_name=files["preview"].name,
        )
        levels = np.frombuffer(grey_levels(scan), "<u2").reshape(facts.rows, facts.columns)
        low = facts.window_center - facts.window_width / 2
        found = {
            "viewer": 255 * np.clip((levels - low) / facts.window_width, 0, 1),
            "thumbnail": np.asarray(Image.open(io.BytesIO(thumbnail(scan.preview_name)))),
            "report": plain(scan),
        }
        if facts.slot is not Slot.CT:  # whose working image is in Hounsfield units
            found["model"] = read_working(storage.path_of(files["working"].name)) / 257
        return found

    return render


def voi_lut(curve: Callable[[float], float]) -> Dataset:
    """A VOI LUT item (PS3.3 C.11.2.1.1) of 16 bits over a part of the values; `curve` is 0..1 to 0..1."""
    item = Dataset()
    item.LUTDescriptor = [ENTRIES, FIRST, 16]
    item.LUTData = np.array(
        [round(65535 * curve(at / (ENTRIES - 1))) for at in range(ENTRIES)], "<u2"
    ).tobytes()
    return item


def differences(shown: Shown) -> dict[str, float]:
    """How far each image is from the viewer's, at most, in grey levels."""
    small = {
        place: np.asarray(
            Image.fromarray(pixels.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX)
        )
        for place, pixels in shown.items()
    }
    return {place: float(np.abs(one - small["viewer"]).max()) for place, one in small.items()}


@pytest.mark.slow
@pytest.mark.shared_data
def test_every_file_of_the_collection_has_one_rendering(
    shared_data: Path, shown: Callable[[Path], Shown]
) -> None:
    paths = [*(shared_data / "dicom").glob("*.dcm"), *(shared_data / "originals").glob("*.[pj]*")]
    found = {}
    for path in paths:
        try:
            found[path.name] = differences(shown(path))
        except Refused:
            continue
    assert len(found) >= 45
    assert not {name: one for name, one in found.items() if max(one.values()) > MOST}


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"WindowCenter": "1.024", "WindowWidth": "2.048", "RescaleSlope": "0.0005", "RescaleIntercept": "0"},
        {"WindowCenter": "-1000", "WindowWidth": "3000", "RescaleSlope": "-1", "RescaleIntercept": "0"},
        {"WindowCenter": "2000", "WindowWidth": "1500", "PixelSpacing": ["0.4", "0.2"]},
        {"PixelAspectRatio": ["1", "2"], "PatientOrientation": ["R", "H"]},
        {"WindowCenter": "2000", "WindowWidth": "1500", "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": "2000", "WindowWidth": "1500", "VOILUTFunction": "SIGMOID"},
        {
            "WindowCenter": "2000",
            "WindowWidth": "900",
            "VOILUTFunction": "SIGMOID",
            "PhotometricInterpretation": "MONOCHROME1",
        },
        {"VOILUTSequence": [voi_lut(lambda share: share**0.4)]},
        {
            "VOILUTSequence": [voi_lut(lambda share: 1 - share**3)],
            "RescaleSlope": "2",
            "RescaleIntercept": "0",
        },
        {"VOILUTSequence": [voi_lut(lambda share: 0.3 + 0.4 * share**2)]},
        {"PresentationIntentType": "FOR PROCESSING", "PixelIntensityRelationship": "LIN"},
    ],
    ids=[
        "plain",
        "monochrome1",
        "slope below one",
        "falling",
        "spacing",
        "aspect",
        "linear exact",
        "sigmoid",
        "inverted sigmoid",
        "lookup table",
        "falling lookup table",
        "dim lookup table",
        "exposure",
    ],
)
def test_a_header_decides_alike_everywhere(
    tmp_path: Path, shown: Callable[[Path], Shown], header: dict[str, object]
) -> None:
    path = write(tmp_path / "x.dcm", dataset(chest(200, 160), bits=12, **header))
    found = differences(shown(path))
    assert set(found) == {"viewer", "thumbnail", "report", "model"}
    assert max(found.values()) <= MOST
