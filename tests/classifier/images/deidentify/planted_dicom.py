"""DICOM files with a name planted in one place each: of the header, the containers and the codestreams."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.classifier.images.deidentify.test_dicom import as_bytes
from tests.classifier.images.samples import chest, dataset

Plant = Callable[[bytes], bytes]
TEXTS = (
    "PatientName", "OtherPatientNames", "PatientComments", "ImageComments", "StudyDescription",
    "InstitutionAddress", "TextValue", "RetrieveURL", "BodyPartExamined", "ViewPosition", "ImageType",
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ProtocolName", "RescaleType", "Laterality",
    "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar", "PatientSex",
    "PatientAlternativeCalendar", "ScheduledStationAETitle", "AcquisitionDeviceProcessingCode", "EthnicGroup",
    "ContrastBolusAgent", "FilterType", "ConvolutionKernel", "DetectorType", "PatientOrientation",
    "PatientAge",
    "PositionReferenceIndicator", "LossyImageCompressionMethod", "WindowCenterWidthExplanation", "PlateType",
    "DeidentificationMethod", "PatientIdentityRemoved", "RequestedProcedurePriority", "InstanceNumber",
    "WindowCenter", "ExposureTime", "PatientWeight", "KVP", "StudyDate", "StudyTime", "AcquisitionDateTime",
    "StudyInstanceUID", "FrameOfReferenceUID", "IrradiationEventUID", "SyntheticData", "VOILUTFunction",
    "CodeMeaning", "CodeValue", "PresentationLUTShape", "QualityControlImage",
)  # fmt: skip
BYTES = {
    "ICCProfile": "OB", "EncapsulatedDocument": "OB", "RedPaletteColorLookupTableData": "OW",
    "ExtendedOffsetTable": "OV", "ExtendedOffsetTableLengths": "OV", "DataSetTrailingPadding": "OB",
    "SpectroscopyData": "OF", "MAC": "OB", "LUTData": "OW", "VectorGridData": "OF",
    "GrayLookupTableData": "OW",
}  # fmt: skip
NUMBERS = {
    "AcquisitionMatrix": "US", "ReferencedFrameNumbers": "US", "DetectorActiveOrigin": "FD",
    "ReferencedContentItemIdentifier": "UL", "VectorAccuracy": "FL", "PixelPaddingValue": "US",
    "FrameIncrementPointer": "AT", "SelectorULValue": "UL", "SelectorFDValue": "FD", "SelectorSVValue": "SV",
    "RescaleSlope": "FD", "SmallestImagePixelValue": "SS",
}  # fmt: skip


def base(syntax: pydicom.uid.UID = pydicom.uid.ExplicitVRLittleEndian, bits: int = 12) -> pydicom.FileDataset:
    pixels = chest() if bits > 8 else (chest() >> 4).astype(np.uint8)
    return dataset(
        pixels, bits=bits, syntax=syntax, PatientID="P-1", PatientName="Plain^Patient", StudyID="1"
    )


def written(made: Dataset) -> bytes:
    with pydicom.config.disable_value_validation():
        return as_bytes(made)


def put(made: Dataset, keyword: str, vr: str, name: bytes) -> None:
    tag = pydicom.datadict.tag_for_keyword(keyword)
    with pydicom.config.disable_value_validation():
        made[tag] = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(tag), vr, len(name), name, 0, False, True)


def even(name: bytes, to: int = 8) -> bytes:
    return name + b" " * (-len(name) % to)


def in_element(keyword: str, vr: str) -> Plant:
    def plant(name: bytes) -> bytes:
        made = base()
        put(made, keyword, vr, even(name))
        return written(made)

    return plant


def in_item(sequence: str, keyword: str, vr: str, depth: int = 1, scheme: str = "") -> Plant:
    def plant(name: bytes) -> bytes:
        inner = Dataset()
        if scheme:
            inner.CodeValue, inner.CodingSchemeDesignator = "121320", scheme
        put(inner, keyword, vr, even(name))
        for _ in range(depth):
            outer = Dataset()
            setattr(outer, sequence, [inner])
            inner = outer
        made = base()
        made.update(inner)
        return written(made)

    return plant


def changed(change: Callable[[pydicom.FileDataset, bytes], None], **options: object) -> Plant:
    def plant(name: bytes) -> bytes:
        made = base(**options)
        change(made, name)
        return written(made)

    return plant


def in_character_set(name: bytes) -> bytes:
    made = base()
    made.SpecificCharacterSet = "ISO_IR 100"
    old, text = b"CS" + struct.pack("<H", 10) + b"ISO_IR 100", even(name.replace(b"\0", b""))
    return written(made).replace(old, b"CS" + struct.pack("<H", len(text)) + text)


def private(made: Dataset, name: bytes) -> None:
    made.private_block(0x0029, "MAKER", create=True).add_new(0x10, "LO", name.decode("latin-1"))


def private_creator(made: Dataset, name: bytes) -> None:
    made.add_new((0x0031, 0x0010), "LO", name.decode("latin-1"))


def private_sequence(made: Dataset, name: bytes) -> None:
    inner = Dataset()
    put(inner, "PatientComments", "LT", even(name))
    made.private_block(0x0029, "MAKER", create=True).add_new(0x11, "SQ", [inner])


def repeating(group: int, element: int, vr: str) -> Plant:
    return changed(
        lambda made, name: made.add_new(
            (group, element), vr, even(name) if vr[0] == "O" else name.decode("latin-1")
        )
    )


def icon(made: Dataset, name: bytes) -> None:
    item = Dataset()
    item.Rows, item.Columns, item.BitsAllocated, item.SamplesPerPixel = 1, len(even(name)), 8, 1
    item.add_new("PixelData", "OB", even(name))
    made.IconImageSequence = [item]


def in_lookup_table(kind: str, *, tail: bool) -> Plant:
    def plant(made: Dataset, name: bytes) -> None:
        item, text = Dataset(), even(name)
        ramp = np.arange(4096, dtype="<u2").tobytes() if tail else b""
        item.add_new("LUTDescriptor", "US", [4096 if tail else len(text) // 2, 0, 16])
        item.add_new("LUTData", "OW", ramp + text)
        setattr(made, kind, [item])

    return changed(plant)


def palette(made: Dataset, name: bytes) -> None:
    made.PhotometricInterpretation = "PALETTE COLOR"
    ramp = (np.arange(256, dtype="<u2") * 257).tobytes()
    for colour in ("Red", "Green", "Blue"):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        made.add_new(f"{colour}PaletteColorLookupTableData", "OW", ramp[: -len(even(name))] + even(name))
    made.PixelData = bytes(made.PixelData).replace(b"\xff", b"\xc0")


def behind_pixels(made: Dataset, name: bytes) -> None:
    made["PixelData"].value += even(name)


def meta(keyword: str, vr: str) -> Plant:
    return changed(lambda made, name: made.file_meta.add_new(keyword, vr, name))


def private_meta(made: Dataset, name: bytes) -> None:
    made.file_meta.PrivateInformationCreatorUID = "1.2.3"
    made.file_meta.PrivateInformation = even(name)


def preamble(name: bytes) -> bytes:
    return name[:128].ljust(128, b"\0") + written(base())[128:]


def behind_the_data_set(name: bytes) -> bytes:
    return written(base()) + name


def signature_behind(made: Dataset, name: bytes) -> None:
    made.add_new((0xFFFC, 0xFFFC), "OB", even(name))


def deflated(name: bytes) -> bytes:
    made = base(DeflatedExplicitVRLittleEndian)
    put(made, "ImageComments", "LT", even(name))
    return written(made)


def stream_of(made: Dataset) -> bytes:
    return b"".join(list(generate_fragments(made.PixelData))[1:]).rstrip(b"\0")


def segment(marker: int, name: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(name) + 2) + name


def after_start(marker: int, prefix: bytes = b"") -> Callable[[bytes, bytes], bytes]:
    return lambda stream, name: stream[:2] + segment(marker, prefix + name) + stream[2:]


def behind(stream: bytes, name: bytes) -> bytes:
    return stream + even(name)


def before_end(stream: bytes, name: bytes) -> bytes:
    return stream[:-2] + segment(0xFE, name) + stream[-2:]


def j2k_marker(marker: int, prefix: bytes = b"") -> Callable[[bytes, bytes], bytes]:
    """Before the first tile part."""

    def change(stream: bytes, name: bytes) -> bytes:
        at = stream.index(b"\xff\x90\x00\x0a")
        return stream[:at] + segment(marker, prefix + name) + stream[at:]

    return change


def jp2_box(stream: bytes, name: bytes) -> bytes:
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body) + 8, kind) + body

    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + box(b"xml ", name) + box(b"uuid", bytes(16) + name) + box(b"jp2c", stream)


def rle_tail(stream: bytes, name: bytes) -> bytes:
    return stream + even(name)


def rle_gap(stream: bytes, name: bytes) -> bytes:
    """Between the header and the first segment."""
    count, *offsets = struct.unpack_from("<16L", stream)
    gap = even(name)
    moved = [offset + len(gap) if offset else 0 for offset in offsets]
    return struct.pack("<16L", count, *moved) + gap + stream[64:]


def in_codestream(syntax: pydicom.uid.UID, change: Callable[[bytes, bytes], bytes], bits: int = 12) -> Plant:
    def plant(name: bytes) -> bytes:
        made = base(syntax, bits)
        made.PixelData = encapsulate([change(stream_of(made), name)])
        made["PixelData"].is_undefined_length = True
        return written(made)

    return plant


def in_offset_table(name: bytes) -> bytes:
    made = base(JPEGLSLossless)
    stream = stream_of(made)
    made.PixelData = b"".join(
        b"\xfe\xff\0\xe0" + struct.pack("<L", len(part)) + part for part in (even(name), even(stream, 2))
    )
    made["PixelData"].is_undefined_length = True
    return written(made)


def in_a_further_fragment(name: bytes) -> bytes:
    made = base(JPEGLSLossless)
    made.PixelData += b"\xfe\xff\0\xe0" + struct.pack("<L", len(even(name))) + even(name)
    made["PixelData"].is_undefined_length = True
    return written(made)


def report(name: bytes) -> bytes:
    made = base()
    del made.PixelData
    made.SOPClassUID, made.Modality = ComprehensiveSRStorage, "SR"
    item = Dataset()
    item.ValueType = "TEXT"
    put(item, "TextValue", "UT", even(name))
    made.ContentSequence = [item]
    return written(made)


def document(name: bytes) -> bytes:
    made = base()
    del made.PixelData
    made.SOPClassUID, made.Modality = EncapsulatedPDFStorage, "DOC"
    made.add_new("EncapsulatedDocument", "OB", even(b"%PDF-1.4 " + name))
    return written(made)


def several_frames(made: Dataset, name: bytes) -> None:
    made.NumberOfFrames = 2
    made["PixelData"].value = made.PixelData + even(name).ljust(len(made.PixelData), b"\0")


STORED: dict[str, Plant] = {
    "character set": in_character_set,
    "text as a number": in_element("WindowWidth", "LO"),
    "unknown type": in_element("StudyComments", "UN"),
    "item of a table sequence": in_item("RequestAttributesSequence", "RequestedProcedureID", "SH"),
    "item of a kept sequence": in_item("SourceImageSequence", "PatientName", "PN"),
    "seven sequences deep": in_item("SourceImageSequence", "ImageComments", "LT", depth=7),
    "meaning of a known code": in_item("ViewCodeSequence", "CodeMeaning", "LO", scheme="DCM"),
    "meaning of a private code": in_item("ViewCodeSequence", "CodeMeaning", "LO", scheme="99X"),
    "value of a code": in_item("ViewCodeSequence", "CodeValue", "SH"),
    "long value of a code": in_item("ViewCodeSequence", "LongCodeValue", "UC"),
    "URN of a code": in_item("ViewCodeSequence", "URNCodeValue", "UR"),
    "scheme of a code": in_item("ViewCodeSequence", "CodingSchemeDesignator", "SH"),
    "UID of a code": in_item("ViewCodeSequence", "ContextUID", "UI", scheme="DCM"),
    "content item": in_item("ContentSequence", "TextValue", "UT"),
    "referenced instance": in_item("ReferencedImageSequence", "ReferencedSOPInstanceUID", "UI"),
    "referenced class": in_item("ReferencedImageSequence", "ReferencedSOPClassUID", "UI"),
    "private element": changed(private),
    "private creator": changed(private_creator),
    "private sequence": changed(private_sequence),
    "overlay data": repeating(0x6000, 0x3000, "OW"),
    "overlay label": repeating(0x6002, 0x1500, "LO"),
    "overlay description": repeating(0x6000, 0x0022, "LO"),
    "curve data": repeating(0x5000, 0x3000, "OW"),
    "curve label": repeating(0x5004, 0x2500, "LO"),
    "icon image": changed(icon),
    "table explanation": in_item("VOILUTSequence", "LUTExplanation", "LO"),
    "end of a VOI table": in_lookup_table("VOILUTSequence", tail=True),
    "entries of a VOI table": in_lookup_table("VOILUTSequence", tail=False),
    "end of a modality table": in_lookup_table("ModalityLUTSequence", tail=True),
    "unused palette entries": changed(palette, bits=8),
    "behind native pixels": changed(behind_pixels),
    "preamble": preamble,
    "private file meta information": changed(private_meta),
    "source AE title": meta("SourceApplicationEntityTitle", "AE"),
    "implementation version": meta("ImplementationVersionName", "SH"),
    "behind the data set": behind_the_data_set,
    "trailing padding": changed(signature_behind),
    "deflated data set": deflated,
    "offset table": in_offset_table,
    "JPEG comment": in_codestream(JPEGBaseline8Bit, after_start(0xFE), 8),
    "JPEG APP1": in_codestream(JPEGBaseline8Bit, after_start(0xE1, b"Exif\0\0"), 8),
    "JPEG APP13": in_codestream(JPEGBaseline8Bit, after_start(0xED), 8),
    "behind the end of a JPEG": in_codestream(JPEGBaseline8Bit, behind, 8),
    "comment behind the scan of a JPEG": in_codestream(JPEGBaseline8Bit, before_end, 8),
    "lossless JPEG comment": in_codestream(JPEGLosslessSV1, after_start(0xFE)),
    "JPEG-LS comment": in_codestream(JPEGLSLossless, after_start(0xFE)),
    "JPEG-LS APP7": in_codestream(JPEGLSLossless, after_start(0xE7)),
    "JPEG 2000 comment": in_codestream(JPEG2000Lossless, j2k_marker(0x64, b"\0\1")),
    "JPEG 2000 binary comment": in_codestream(JPEG2000Lossless, j2k_marker(0x64, b"\0\0")),
    "behind the end of a JPEG 2000": in_codestream(JPEG2000Lossless, behind),
    "boxes of a JP2": in_codestream(JPEG2000Lossless, jp2_box),
    "HTJ2K comment": in_codestream(HTJ2KLossless, j2k_marker(0x64, b"\0\1")),
    "behind RLE segments": in_codestream(RLELossless, rle_tail),
    "between RLE header and segments": in_codestream(RLELossless, rle_gap),
}


def dicom_places() -> Iterator[tuple[str, Plant, str]]:
    """(place, how a name gets there, the code of the refusal or `stored`)."""
    for keyword in TEXTS:
        vr = pydicom.datadict.dictionary_VR(keyword)
        yield f"dicom {vr} {keyword}", in_element(keyword, vr), "stored"
    for keyword, vr in {**BYTES, **NUMBERS}.items():
        yield f"dicom {vr} {keyword}", in_element(keyword, vr), "stored"
    for place, plant in STORED.items():
        yield f"dicom {place}", plant, "stored"
    yield (
        "dicom entries of a modality table",
        in_lookup_table("ModalityLUTSequence", tail=False),
        "undecodable",
    )
    yield "dicom behind the end of a JPEG-LS", in_codestream(JPEGLSLossless, behind), "undecodable"
    yield "dicom further fragment", in_a_further_fragment, "undecodable"
    yield "dicom structured report", report, "unsupported_modality"
    yield "dicom encapsulated document", document, "unsupported_modality"
    yield "dicom several frames", changed(several_frames), "unsupported_modality"
    yield "dicom modality", in_element("Modality", "CS"), "unsupported_modality"


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data), force=True)
