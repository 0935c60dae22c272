"""Results as HL7 v2.5.1 ORU^R01 messages, for receivers that know neither DICOM SR nor FHIR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pydicom.sr.coding import Code

from classifier.contract import DISCLAIMER
from classifier.reasons import AbstentionReason, ResultWarning
from webapp.results.objects import codes
from webapp.results.objects.content import AnalysisResult, SignedReading, SourceImage

VERSION = "2.5.1"
SCHEMES = {"SCT": "SCT", "DCM": "DCM", "LN": "LN", codes.SCHEME: codes.SCHEME}
STUDY_UID = Code("110180", "DCM", "Study Instance UID")
ESCAPED = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\n": "\\.br\\", "\r": None}
)
LONGEST_ORDER = 22  # of EI.1 in order numbers, by receivers of older versions


def oru_message(
    sources: Sequence[SourceImage],
    results: Sequence[AnalysisResult | None],
    readings: Sequence[SignedReading],
    *,
    control_id: str,
    sent_at: datetime,
    facility: str,
    corrected: bool = False,
    production: bool = True,
) -> bytes:
    """One message in UTF-8 about one patient: an OBR with its OBX segments for each result and reading.

    `results` belong to the `sources` in order; None: no result. A result of the device has the status P
    (preliminary), a signed reading F (final), both C when `corrected`.
    """
    source = sources[0]
    header = ["MSH", "^~\\&", "HILUM", text(facility), "", "", clock(sent_at), "", "ORU^R01^ORU_R01"]
    header += [text(control_id), "P" if production else "T", VERSION, "", "", "", "", "", "UNICODE UTF-8"]
    segments = ["|".join(header), _patient(source)]
    number = 0
    for image, result in zip(sources, results, strict=True):
        if result:
            number += 1
            status = "C" if corrected else "P"
            segments.append(_order(number, image, result.id.hex, result.finished_at, status))
            segments += _observations(_result_lines(image, result), status)
            segments += _notes([DISCLAIMER, *result.warning_texts])
    for reading in readings:
        number += 1
        status = "C" if corrected else "F"
        segments.append(_order(number, source, reading.id.hex, reading.signed_at, status, reading.person))
        segments += _observations(_reading_lines(source, reading), status)
    return ("\r".join(segments) + "\r").encode()


def text(value: str) -> str:
    """A value with the delimiters escaped and nothing that ends a segment."""
    printable = "".join(character for character in value if character.isprintable() or character == "\n")
    return printable.translate(ESCAPED)


def clock(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S%z")


def coded(code: Code) -> str:
    return "^".join([text(code.value), text(code.meaning), SCHEMES[code.scheme_designator]])


def _patient(source: SourceImage) -> str:
    name = "^".join(text(part) for part in source.patient_name.split("^"))
    born = f"{source.birth_date:%Y%m%d}" if source.birth_date else ""
    return "|".join(
        [
            "PID",
            "1",
            "",
            f"{text(source.patient_id)}^^^{text(source.issuer)}",
            "",
            name,
            "",
            born,
            source.sex[:1],
        ]
    )


def _order(number: int, source: SourceImage, key: str, at: datetime, status: str, person: str = "") -> str:
    """OBR: the accession number is the placer's (OBR-18), the filler number is ours."""
    fields = [""] * 33
    fields[0], fields[1], fields[3] = "OBR", str(number), f"{key[:LONGEST_ORDER]}^HILUM"
    fields[4] = coded(codes.CHEST_REPORT)
    fields[7] = f"{source.study_date:%Y%m%d}" if source.study_date else clock(at)
    fields[18] = text(source.accession_number)
    fields[22], fields[24], fields[25] = clock(at), "RAD", status
    if person:
        family, _, given = person.partition("^")
        fields[32] = f"&{text(family)}&{text(given)}"
    return "|".join(fields).rstrip("|")


Line = tuple[str, str, str, str]  # type, identifier, value, units


def _result_lines(source: SourceImage, result: AnalysisResult) -> Iterator[Line]:
    yield "ST", coded(STUDY_UID), source.reference.study_uid, ""
    if result.withheld:
        yield "CWE", coded(codes.RESULT_STATUS), coded(codes.WITHHELD), ""
        yield "CWE", coded(codes.WITHHELD_REASON), coded(codes.REASONS[AbstentionReason(result.withheld)]), ""
    else:
        stated = codes.FINDING_REPORTED if result.finding else codes.NO_FINDING_REPORTED
        yield "CWE", coded(codes.RESULT_STATUS), coded(stated), ""
        for value in result.values:
            yield "NM", coded(codes.finding_code(value.finding)), f"{value.probability:.4f}", "1"
        if result.finding:
            yield "CWE", coded(codes.REPORTED), coded(codes.finding_code(result.finding)), ""
    for code in result.warnings:
        yield "CWE", coded(codes.WARNING), coded(codes.WARNINGS[ResultWarning(code)]), ""
    yield (
        "ST",
        coded(ALGORITHM),
        text(f"{result.model_name} {result.model} SHA-256 {result.model_sha256}"),
        "",
    )


ALGORITHM = Code("111001", "DCM", "Algorithm Name")


def _reading_lines(source: SourceImage, reading: SignedReading) -> Iterator[Line]:
    yield "ST", coded(STUDY_UID), source.reference.study_uid, ""
    for finding in reading.findings:
        yield "CWE", coded(codes.PRESENCE), coded(codes.finding_code(finding)), ""
    for code, value in ((codes.IMPRESSION, reading.impression), (codes.COMPARISON, reading.comparison)):
        if value:
            yield "TX", coded(code), text(value), ""


def _observations(lines: Iterator[Line], status: str) -> list[str]:
    return [
        f"OBX|{number}|{kind}|{identifier}|{number}|{value}|{units}|||||{status}"
        for number, (kind, identifier, value, units) in enumerate(lines, 1)
    ]


def _notes(texts: Sequence[str]) -> list[str]:
    return [f"NTE|{number}|L|{text(line)}" for number, line in enumerate(texts, 1)]
