"""Makes rows for tests. Whatever is not named is made up; a scan brings its upload, study and patient."""

from __future__ import annotations

import copy
import hashlib
import json
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import factory
import numpy as np
from django.conf import settings
from django.db.models.base import ModelState
from factory.django import DjangoModelFactory
from PIL import Image
from safetensors.numpy import save

from classifier.artifact.header import header_metadata, with_sorted_header
from classifier.contract import Cam, ModelSpec, Prediction, Slot, predict_from
from classifier.images.decoded_image import ParseResult
from webapp.accounts.models import Site, User
from webapp.analysis.models import Analysis
from webapp.labels.models import Label, LabelQueue, QueueItem
from webapp.monitoring.models import Observation
from webapp.registry.models import ModelStatus, ModelVersion, Promotion
from webapp.scans.models import Patient, Scan, Series, Study, Upload
from webapp.scans.uploads.files import ParsedScan, store_parsed

FINDINGS = ("covid19", "pneumonia", "normal")


def digest(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


class SiteFactory(DjangoModelFactory):
    class Meta:
        model = Site

    name = factory.Sequence("Hospital {}".format)
    slug = factory.Sequence("hospital-{}".format)


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    username = factory.Sequence("person{}".format)


class PatientFactory(DjangoModelFactory):
    class Meta:
        model = Patient

    site = factory.SubFactory(SiteFactory)
    patient_id = factory.Sequence("P{:04}".format)
    name = factory.Sequence("DOE^J{}".format)


class StudyFactory(DjangoModelFactory):
    class Meta:
        model = Study

    patient = factory.SubFactory(PatientFactory)
    site = factory.SelfAttribute("patient.site")
    study_instance_uid = factory.Sequence("1.2.3.{}".format)
    study_date = date(2026, 11, 20)
    study_at = datetime(2026, 11, 20, tzinfo=UTC)


class SeriesFactory(DjangoModelFactory):
    class Meta:
        model = Series

    study = factory.SubFactory(StudyFactory)
    series_instance_uid = factory.Sequence("1.2.4.{}".format)
    modality = "DX"


class UploadFactory(DjangoModelFactory):
    class Meta:
        model = Upload

    site = factory.SubFactory(SiteFactory)
    user = factory.SubFactory(UserFactory)
    sha256 = factory.Sequence(digest)
    size = 1000
    filename = "chest.png"
    stored_name = factory.LazyAttribute(lambda upload: f"{upload.id.hex[:2]}/{upload.id}/original")
    id = factory.LazyFunction(uuid.uuid4)


class ScanFactory(DjangoModelFactory):
    """`ScanFactory(site=site)` or `ScanFactory(series__study=study)`."""

    class Meta:
        model = Scan

    class Params:
        patient = factory.SubFactory(PatientFactory, site=factory.SelfAttribute("..site"))

    id = factory.LazyFunction(uuid.uuid4)
    site = factory.SubFactory(SiteFactory)
    series = factory.SubFactory(SeriesFactory, study__patient=factory.SelfAttribute("...patient"))
    upload = factory.SubFactory(
        UploadFactory,
        id=factory.SelfAttribute("..id"),
        site=factory.SelfAttribute("..site"),
        status=Upload.Status.DONE,
    )
    sop_instance_uid = factory.Sequence("1.2.5.{}".format)
    slot = Slot.CXR
    rows = columns = 512
    window_center, window_width = 2048.0, 4096.0
    display_name = factory.LazyAttribute(lambda scan: f"{scan.id.hex[:2]}/{scan.id}/display.png")
    working_name = factory.LazyAttribute(lambda scan: f"{scan.id.hex[:2]}/{scan.id}/working.png")
    preview_name = factory.LazyAttribute(lambda scan: f"{scan.id.hex[:2]}/{scan.id}/preview.png")
    display_sha256 = working_sha256 = preview_sha256 = digest("an image")
    pixel_sha256 = factory.Sequence(digest)
    received_at = factory.LazyAttribute(lambda scan: scan.upload.created_at)


def spec_of(slot: str = Slot.CXR, **changes) -> ModelSpec:
    window = (-1350.0, 150.0) if slot == Slot.CT else None
    own = {"name": f"{slot} test", "slot": Slot(slot), "findings": FINDINGS, "hounsfield": window}
    return ModelSpec(**{**own, **changes})


class ModelVersionFactory(DjangoModelFactory):
    """A version without a file; `tests.factories.artifact` writes one that can be registered."""

    class Meta:
        model = ModelVersion

    id = factory.LazyFunction(uuid.uuid4)
    slot = Slot.CXR
    name = "test model"
    number = factory.Sequence(lambda n: n + 1)
    status = ModelStatus.ACTIVE
    stored_name = factory.LazyAttribute(lambda version: f"models/{version.id}.safetensors")
    sha256 = factory.Sequence(lambda n: digest(f"model {n}"))
    size = 1000
    spec = factory.LazyAttribute(lambda version: _as_json(spec_of(version.slot)))


def make_active(version: ModelVersion) -> ModelVersion:
    """Promote a version that may have no file, past all that the services ask for."""
    previous = ModelVersion.objects.filter(slot=version.slot, status=ModelStatus.ACTIVE).first()
    promotion = Promotion.objects.create(
        model_version=version, previous=previous, reason="under test", enacted=False
    )
    ModelVersion.objects.filter(slot=version.slot, status=ModelStatus.ACTIVE).update(status="retired")
    ModelVersion.objects.filter(pk=version.pk).update(status=ModelStatus.ACTIVE)
    Promotion.objects.filter(pk=promotion.pk).update(enacted=True)
    version.refresh_from_db()
    return version


class AnalysisFactory(DjangoModelFactory):
    class Meta:
        model = Analysis

    scan = factory.SubFactory(ScanFactory)
    model_version = factory.SubFactory(ModelVersionFactory)


class LabelQueueFactory(DjangoModelFactory):
    class Meta:
        model = LabelQueue

    site = factory.SubFactory(SiteFactory)
    name = factory.Sequence("Queue {}".format)
    findings = ["normal", "pneumonia"]
    order = "random"
    readers = 2
    created_by = factory.SubFactory(UserFactory)


class QueueItemFactory(DjangoModelFactory):
    class Meta:
        model = QueueItem

    queue = factory.SubFactory(LabelQueueFactory)
    scan = factory.SubFactory(ScanFactory, site=factory.SelfAttribute("..queue.site"))
    position = factory.Sequence(lambda n: n)


class LabelFactory(DjangoModelFactory):
    """A label as it stands there, without what `labels.services` keeps next to it."""

    class Meta:
        model = Label

    scan = factory.SubFactory(ScanFactory)
    site = factory.SelfAttribute("scan.site")
    reader = factory.SubFactory(UserFactory)
    signed_as = factory.SelfAttribute("reader.username")
    findings = factory.LazyFunction(lambda: {"pneumonia": "present"})


def prediction(*, slot: str = Slot.CXR, **probabilities: float) -> Prediction:
    """What a model states: `prediction(pneumonia=0.8, normal=0.1)`; findings left out get 0."""
    return predict_from(spec_of(slot), {finding: probabilities.get(finding, 0.0) for finding in FINDINGS})


def cam() -> Cam:
    grids = {finding: [[0.0, 1.0], [-1.0, 0.5]] for finding in FINDINGS}
    return Cam(grids=grids, affine=(256.0, 0.0, 127.5, 0.0, 256.0, 127.5), scale=2.0)


def facts(folder: Path, *, shade: int = 1000, slot: Slot = Slot.CXR, **metadata: object) -> ParseResult:
    """What the parsing helper serves a 64 x 80 image, with its three files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("display", "working", "preview"):
        Image.new("I;16" if kind != "preview" else "L", (80, 64), shade % 256).save(folder / f"{kind}.png")
    return ParseResult(
        rows=64,
        columns=80,
        slot=slot,
        synthetic=slot == Slot.PHANTOM,
        polarity_turned=False,
        slope=1.0,
        intercept=0.0,
        window_center=2048.0,
        window_width=4096.0,
        pixel_sha256=digest(shade),
        metadata=metadata,
        files={kind: f"{kind}.png" for kind in ("display", "working", "preview")},
    )


def parsed(upload: Upload, token: uuid.UUID, **details: object) -> ParsedScan:
    """The one image of a claimed upload, read and stored as the ingest worker does it."""
    folder = settings.HILUM_DATA / "scratch" / upload.id.hex
    return store_parsed(scan_id=upload.id, token=token, facts=facts(folder, **details), folder=folder)


def artifact(path: Path, *, slot: str = Slot.CXR, seed: int = 0, **changes: object) -> Path:
    """A model file whose header is whole and whose one tensor is no network: enough for the registry."""
    tensors = {"classifier.fc.bias": np.full(3, seed, dtype=np.float32)}
    card = {"data": "none", "limits": ["knows nothing"]}
    path.write_bytes(with_sorted_header(save(tensors, header_metadata(spec_of(slot, **changes), card))))
    return path


def _as_json(spec: ModelSpec) -> dict:
    return json.loads(spec.to_json())


def finished_analyses(
    site: Site,
    version: ModelVersion,
    count: int,
    *,
    seed: int = 0,
    shift: float = 0.0,
    at: datetime = datetime(2026, 11, 1, tzinfo=UTC),
    every: timedelta = timedelta(minutes=10),
    patients: int = 1,
    **fields: object,
) -> list[Analysis]:
    """Finished analyses with observations, one scan each, of `patients`; `shift` moves the descriptors.

    `fields` are the observations' (`manufacturer`, `sex`, ...); `withheld` may be a share.
    """
    rng = np.random.default_rng(seed)
    series = [SeriesFactory(study__patient=PatientFactory(site=site)) for _ in range(patients)]
    upload = UploadFactory(site=site, status=Upload.Status.DONE)
    bare = ScanFactory.build(site=site, series=series[0], upload=upload, received_at=at)
    scans = []
    for index in range(count):
        scan = copy.copy(bare)
        scan.pk, scan._state, scan.series = uuid.uuid4(), ModelState(), series[index % patients]
        scans.append(scan)
    Scan.objects.bulk_create(scans)
    share = float(fields.pop("withheld", 0.0))
    made, seen = [], []
    for index, scan in enumerate(scans):
        stated = rng.dirichlet([1.0, 1.0, 1.0])
        withheld = bool(rng.random() < share)
        named = dict(zip(FINDINGS, stated.tolist(), strict=True))
        analysis = Analysis(
            scan=scan,
            model_version=version,
            status=Analysis.Status.DONE,
            finding=max(named, key=named.__getitem__),
            probabilities=named,
            uncertainty=0.5,
            abstention="low_confidence" if withheld else "",
            withheld=withheld,
        )
        made.append(analysis)
        row = {
            "site": site,
            "model_version": version,
            "at": at + index * every,
            "pixels": (rng.normal(size=20) + shift).tolist(),
            "features": (rng.normal(size=24) + shift).tolist(),
            "withheld": withheld,
            "finding": analysis.finding,
        }
        seen.append(Observation(analysis=analysis, **row | fields))
    Analysis.objects.bulk_create(made)
    Observation.objects.bulk_create(seen)
    return made


KEY_IMAGE_VIEW = {
    "width": 100.0,
    "level": 50.0,
    "inverted": False,
    "zoom": 2.0,
    "offset": [0.1, 0, 0],
    "rotation": 0,
    "flipHorizontal": False,
    "flipVertical": False,
    "area": [10, 20, 50, 40],
    "axes": [1, 0, 0, 1],
    "finding": "pneumonia",
    "opacity": 0,
    "threshold": 0,
    "colours": "inferno",
    "outlines": False,
}
