"""Infer: queued analyses, a batch of one model version at a time, by models that stay loaded."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from socket import gethostname
from typing import Any

from django.conf import settings
from django.db import transaction

from webapp.analysis.models import Analysis, ShadowAnalysis
from webapp.analysis.services import analysis_done
from webapp.analysis.shadow import shadow_done
from webapp.core import storage
from webapp.monitoring.observations import observe
from webapp.registry.models import ModelVersion
from webapp.registry.selectors import active_models, artifact_path
from webapp.registry.services import engine_chosen
from webapp.scans.models import Scan
from webapp.scans.selectors import day_of, patient_age
from worker.runner import Heartbeat, Job, Unavailable
from worker.support.safe_errors import describe

logger = logging.getLogger(__name__)

IMAGE_MISSING, MODEL_UNAVAILABLE = "image_missing", "model_unavailable"
KEPT_MODELS = 3
LIMIT_SECONDS = 300.0


class InferJob(Job):
    """Torch, and with it CUDA, is loaded by the job runner's thread in `prepare`, not with this module."""

    name = "infer"

    def __init__(self) -> None:
        self._models = WarmModels()

    def prepare(self) -> None:
        """Load the active models, so that the first upload does not wait for it."""
        for version in active_models().values():
            try:
                self._models.predictor(version)
            except ModelUnavailable as error:
                logger.error("model %s is not warm: %s", version, describe(error))

    def close(self) -> None:
        self._models = WarmModels()

    def step(self) -> bool:
        return self._analyse() or self._shadow()

    def _analyse(self) -> bool:
        return self._claimed(Analysis.objects.claim(settings.HILUM_BATCH), store)

    def _shadow(self) -> bool:
        """One at a time, and only while no analysis is queued."""
        return self._claimed(ShadowAnalysis.objects.claim(), store_shadow)

    def _claimed(self, rows: Sequence[Any], done: Callable) -> bool:
        if not rows:
            return False
        with Heartbeat(rows[0], limit=LIMIT_SECONDS):
            try:
                self._predict(rows, done)
            except Unavailable:
                rows[0].release()
                raise
        return True

    def _predict(self, analyses: Sequence[Any], done: Callable) -> None:
        from classifier.inference.predictor import Failure

        try:
            predictor = self._models.predictor(analyses[0].model_version)
        except ModelUnavailable as error:
            logger.error("model %s cannot be used: %s", analyses[0].model_version, describe(error))
            for analysis in analyses:
                analysis.fail(MODEL_UNAVAILABLE)
            return
        readable = list(inputs(analyses))
        results = predictor.predict([item for _, item in readable])
        for (analysis, item), result in zip(readable, results, strict=True):
            if isinstance(result, Failure):
                analysis.fail(result.code)
            else:
                done(analysis, item, result)


def inputs(analyses: Sequence[Any]) -> Iterator[tuple[Any, object]]:
    """Each analysis with its input; an unreadable image fails alone."""
    for analysis in analyses:
        try:
            item = input_of(analysis.scan)
        except ImageMissing as error:
            logger.error("scan %s has no readable working image: %s", analysis.scan_id, describe(error))
            analysis.fail(IMAGE_MISSING)
        else:
            yield analysis, item


def input_of(scan: Scan):
    """The scan's `classifier.inference.predictor.Input`; raises ImageMissing where it cannot be read."""
    from classifier.images.raster.png import read_working
    from classifier.inference.predictor import Input

    try:
        working = read_working(storage.path_of(scan.working_name))
    except (OSError, ValueError) as error:
        blame_no_outage(error)
        raise ImageMissing from error
    return Input(
        working,
        original=(scan.rows, scan.columns),
        age=patient_age(scan),
        dated=day_of(scan),
        burned_in="burned_in" in scan.notes,
    )


def store(analysis: Analysis, item: Any, result: Any) -> None:
    """Store a `classifier.inference.predictor.Result` on an Input, with what monitoring remembers of it."""
    from classifier.drift.descriptors import describe

    descriptors = describe(item.working, result.pooled)
    with transaction.atomic():
        stored = {"prediction": result.prediction, "cam": result.cam, "seconds": result.seconds}
        if analysis_done(analysis=analysis, **stored):
            analysis.refresh_from_db(fields=["finding", "withheld"])
            observe(analysis, pixels=descriptors.pixels, features=descriptors.features)


def store_shadow(shadow: ShadowAnalysis, item: Any, result: Any) -> None:
    shadow_done(shadow=shadow, prediction=result.prediction)


def blame_no_outage(error: Exception) -> None:
    """Raise Unavailable where the whole store is away: then neither image nor model is to blame."""
    if isinstance(error, OSError) and not storage.is_working():
        raise Unavailable from error


class ImageMissing(Exception):
    """The working image is missing or damaged."""


class ModelUnavailable(Exception):
    """The artifact is missing, damaged or of another format."""


class WarmModels:
    """The last few models that were used, ready on the device, by the hash of their artifact."""

    def __init__(self, keep: int = KEPT_MODELS) -> None:
        self._keep = keep
        self._predictors: OrderedDict[str, object] = OrderedDict()

    def predictor(self, version: ModelVersion):
        """The version's `classifier.inference.predictor.Predictor`; raises ModelUnavailable."""
        if version.sha256 not in self._predictors:
            self._predictors[version.sha256] = load(version)
        self._predictors.move_to_end(version.sha256)
        while len(self._predictors) > self._keep:
            self._predictors.popitem(last=False)
        return self._predictors[version.sha256]


def load(version: ModelVersion):
    from classifier.artifact.weights import load_artifact
    from classifier.errors import ArtifactError
    from classifier.inference.predictor import Predictor

    try:
        artifact = load_artifact(artifact_path(version), expected_sha256=version.sha256)
        predictor = Predictor(
            artifact,
            device(),
            settings.HILUM_PRECISION,
            batch_size=settings.HILUM_BATCH,
            engine=settings.HILUM_ENGINE,
            engine_folder=settings.HILUM_DATA / "engines",
        )
    except (OSError, ArtifactError) as error:
        blame_no_outage(error)
        raise ModelUnavailable(str(version)) from error
    choice = predictor.choice.as_dict()
    logger.info("model %s runs on %s %s", version, choice["engine"], choice["precision"])
    engine_chosen(version=version, host=gethostname(), device=str(predictor.device), choice=choice)
    return predictor


def device() -> str:
    """HILUM_DEVICE, with `auto` meaning CUDA where there is one."""
    import torch

    if settings.HILUM_DEVICE != "auto":
        return settings.HILUM_DEVICE
    return "cuda" if torch.cuda.is_available() else "cpu"
