"""Folders are searched and ZIP archives unpacked; an image in an archive is reported as `archive.zip/name`.

The exit status is 0 if every file has a result (a refusal is one), 1 if a file failed, and 2 if a named file,
model or device cannot be used. Images without a model for their modality are reported as `abstained` with
reason `no_model_for_modality`.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.cli.arguments import add_files_argument, add_json_option, add_model_options
from classifier.contract import DISCLAIMER, finding_name, findings_in_text
from classifier.reasons import ADVICE, NO_MODEL_FOR_MODALITY

if TYPE_CHECKING:
    from classifier.cli.inputs import InputFile
    from classifier.cli.models import Models
    from classifier.images.archive.listing import Unpacked
    from classifier.images.sandbox.client import ParsingHelper
    from classifier.inference.predictor import Failure, Predictor, Result

BATCH = 16
HELPER_FAILED = "helper_failed"
Record = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_files_argument(parser)
    add_json_option(parser, "print one JSON object per line")
    parser.add_argument("--no-cam", action="store_true", help="omit the class activation maps")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from classifier.cli.inputs import find_files, print_records
    from classifier.cli.models import Models
    from classifier.images.sandbox.client import ParsingHelper

    files, missing = find_files(args.files)
    models = Models(args.model, device=args.device, precision=args.precision)
    with ParsingHelper() as helper, tqdm(total=len(files), unit="file", leave=False, disable=None) as bar:

        def unpacked(path: Path, found: Unpacked) -> None:
            bar.total += len(found.members) - 1
            for line in lines_of_skipped(path, found):
                bar.write(line, file=sys.stderr)

        options = {"modality": args.modality, "with_cam": not args.no_cam, "unpacked": unpacked}
        failed = print_records(predict(files, helper, models, **options), bar, args.json, line_of)
    print(DISCLAIMER, file=sys.stderr)
    return 2 if missing else int(failed)


def predict(
    files: Iterable[Path],
    helper: ParsingHelper,
    models: Models,
    *,
    modality: str = "auto",
    with_cam: bool = True,
    unpacked: Callable[[Path, Unpacked], None] = lambda path, found: None,
) -> Iterator[Record]:
    """One record per file or archive member, in order, as `--json` prints them.

    `unpacked` is called for each archive.
    """
    from classifier.cli.inputs import load_all

    loaded = load_all(helper, files, models.stated_slot(modality), unpacked)
    while batch := list(islice(loaded, BATCH)):
        yield from _predict_batch(batch, models, with_cam)


def _predict_batch(batch: list[InputFile], models: Models, with_cam: bool) -> list[Record]:
    from classifier.cli.inputs import LoadedImage

    records: dict[int, Record] = {}
    by_model: dict[Predictor, list[int]] = defaultdict(list)
    for index, file in enumerate(batch):
        if not isinstance(file.image, LoadedImage):
            records[index] = _error_record(file.name, file.image, file.seconds)
        elif (predictor := models.for_slot(file.image.facts.slot)) is None:
            records[index] = _record(file.name, "abstained", NO_MODEL_FOR_MODALITY, file.seconds)
        else:
            by_model[predictor].append(index)
    for predictor, indices in by_model.items():
        results = predictor.predict([batch[index].image.as_input() for index in indices])
        for index, result in zip(indices, results, strict=True):
            records[index] = _result_record(batch[index], predictor, result, with_cam)
    return [records[index] for index in range(len(batch))]


def _error_record(name: str, error: Exception, seconds: float) -> Record:
    from classifier.errors import Refused
    from classifier.images.archive.listing import ARCHIVE_ADVICE
    from classifier.reasons import IMAGE_ADVICE

    if isinstance(error, Refused):
        if advice := (ARCHIVE_ADVICE | IMAGE_ADVICE).get(error.detail):
            print(f"{name}: {advice.problem}", file=sys.stderr)
        return _record(name, "refused", error.reason.value, seconds)
    print(f"{name}: {error}", file=sys.stderr)
    return _record(name, "failed", HELPER_FAILED, seconds)


def _result_record(file: InputFile, predictor: Predictor, result: Result | Failure, with_cam: bool) -> Record:
    from classifier.inference.predictor import Failure

    model = {"model": predictor.spec.name, "model_sha256": predictor.artifact.sha256}
    if isinstance(result, Failure):
        print(f"{file.name}: {result.message}", file=sys.stderr)
        return _record(file.name, "failed", result.code, file.seconds, **model)
    prediction = result.prediction
    status, reason = ("abstained", prediction.abstention.value) if prediction.withheld else ("ok", None)
    return _record(
        file.name,
        status,
        reason,
        file.seconds + result.seconds,
        finding=prediction.finding,
        probabilities=dict(prediction.probabilities),
        prediction_set=prediction.prediction_set and prediction.prediction_set._asdict(),
        other_abnormality=prediction.measures.other_abnormality,
        warnings=[warning.value for warning in prediction.warnings],
        withheld=prediction.withheld,
        cam=result.cam.as_dict() if with_cam else None,
        **model,
    )


def _record(name: str, status: str, reason: str | None, seconds: float, **values: Any) -> Record:
    keys = ("finding", "probabilities", "prediction_set", "other_abnormality", "warnings", "withheld", "cam")
    keys += ("model", "model_sha256")
    empty = dict.fromkeys(keys)
    record = {"file": name, "status": status, "reason": reason, **empty, "withheld": False, **values}
    return {**record, "seconds": round(seconds, 4)}


def lines_of_skipped(path: Path, unpacked: Unpacked) -> Iterator[str]:
    """The skipped members of an archive, one line per reason."""
    from classifier.images.archive.listing import SKIP_LABELS

    for skipped in unpacked.skipped:
        more = skipped.count - len(skipped.names)
        names = ", ".join(skipped.names) + (f" and {more:,} more" if more else "")
        yield f"{path}: skipped ({SKIP_LABELS[skipped.reason]}): {names}"


def line_of(record: Record) -> str:
    """A record as one line of text."""
    file = record["file"].encode("utf-8", "backslashreplace").decode()
    if record["status"] == "ok":
        finding = finding_name(record["finding"]) if record["finding"] else "no finding above its threshold"
        possible = record["prediction_set"]
        if possible and len(possible["findings"]) > 1:
            finding += (
                f"; {findings_in_text(possible['findings'])} with {100 * possible['coverage']:g} % coverage"
            )
        warnings = "".join(f" Warning: {ADVICE[code].problem}" for code in record["warnings"])
        return f"{file}: {finding} ({probabilities_of(record)}){warnings}"
    advice = ADVICE.get(record["reason"])
    text = f"{advice.problem} {advice.remedy}" if advice else record["reason"]
    if record["reason"] == NO_MODEL_FOR_MODALITY:
        text = f"{advice.problem} Pass a model with --model."
    withheld = f" (withheld: {probabilities_of(record)})" if record["withheld"] else ""
    return f"{file}: {record['status'].replace('abstained', 'no result')}: {text}{withheld}"


def probabilities_of(record: Record) -> str:
    ranked = sorted(record["probabilities"].items(), key=lambda item: -item[1])
    return ", ".join(f"{finding_name(finding)} {probability:.2f}" for finding, probability in ranked)
