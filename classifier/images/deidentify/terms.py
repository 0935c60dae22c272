"""Defined terms (PS3.3, PS3.16 annex L) that a de-identified header may contain; standard library only.

Text is kept by allow-list: an attribute that is not listed, and a value that is none of its terms, may be a
name, since any text fits a code string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def _terms(text: str) -> frozenset[str]:
    return frozenset(term.strip() for term in text.split(","))


_SIDES = _terms("R,L,U,B")
TERMS: Mapping[str, frozenset[str]] = {
    "Modality": _terms(
        "ANN,AR,ASMT,AU,BDUS,BI,BMD,CFM,CR,CT,CTPROTOCOL,DG,DMS,DOC,DR,DX,ECG,EEG,EMG,EOG,EPS,ES,FD,FID,GM,"
        "HC,HD,IO,IOL,IVOCT,IVUS,KER,KO,LEN,LS,M3D,MG,MR,NM,OAM,OCT,OP,OPM,OPT,OPTBSV,OPTENF,OPV,OSS,OT,PA,"
        "PLAN,POS,PR,PT,PX,REG,RESP,RF,RG,RTDOSE,RTIMAGE,RTINTENT,RTPLAN,RTRAD,RTRECORD,RTSEGANN,RTSTRUCT,"
        "RWV,SC,SEG,SM,SMR,SR,SRF,STAIN,TEXTUREMAP,TG,US,VA,XA,XAPROTOCOL,XC,XR"
    ),
    "BodyPartExamined": _terms(
        "CHEST,CHESTABDOMEN,CHESTABDPELVIS,NECKCHEST,NECKCHESTABDOMEN,NECKCHESTABDPELV,THORAX,LUNG,RIB,"
        "STERNUM,HEART,MEDIASTINUM,CLAVICLE,SCAPULA,SHOULDER,TSPINE,CSPINE,LSPINE,SSPINE,COCCYX,SPINE,"
        "WHOLESPINE,CTSPINE,TLSPINE,LSSPINE,ABDOMEN,ABDOMENPELVIS,PELVIS,HIP,HEAD,HEADNECK,SKULL,BRAIN,NECK,"
        "JAW,ZYGOMA,ORBIT,SINUS,ARM,UPPERARM,ELBOW,FOREARM,WRIST,HAND,FINGER,THUMB,LEG,THIGH,KNEE,PATELLA,"
        "CALF,ANKLE,FOOT,TOE,CALCANEUS,EXTREMITY,BREAST,BLADDER,KIDNEY,LIVER,WHOLEBODY,SIJOINT,ACJOINT"
    ),
    "ViewPosition": _terms("AP,PA,LL,RL,RLD,LLD,RLO,LLO,LATERAL,LAT,AP SUPINE,LPO,RPO,LAO,RAO,OBL,XTABLE"),
    "Laterality": _SIDES,
    "ImageLaterality": _SIDES,
    "PatientOrientation": _terms(
        "A,P,R,L,H,F,AL,AR,PL,PR,AH,AF,PH,PF,RH,RF,LH,LF,HR,HL,FR,FL,HA,HP,FA,FP,RA,RP,LA,LP"
    ),
    "PatientPosition": _terms("HFP,HFS,HFDR,HFDL,FFP,FFS,FFDR,FFDL,SITTING,STANDING,SUPINE,PRONE,ERECT"),
    "PatientSex": _terms("M,F,O"),
    "PatientSexNeutered": _terms("ALTERED,UNALTERED"),
    "SmokingStatus": _terms("YES,NO,UNKNOWN"),
    "PhotometricInterpretation": _terms("MONOCHROME1,MONOCHROME2,RGB"),
    "PixelSpacingCalibrationType": _terms("GEOMETRY,FIDUCIAL"),
    "PresentationIntentType": _terms("FOR PRESENTATION,FOR PROCESSING"),
    "PresentationLUTShape": _terms("IDENTITY,INVERSE"),
    "PixelIntensityRelationship": _terms("LIN,LOG,DISP"),
    "VOILUTFunction": _terms("LINEAR,LINEAR_EXACT,SIGMOID"),
    "LossyImageCompression": _terms("00,01"),
    "LossyImageCompressionMethod": _terms(
        "ISO_10918_1,ISO_14495_1,ISO_15444_1,ISO_15444_15,ISO_13818_2,ISO_14496_10,ISO_23008_2"
    ),
    "ImageType": _terms(
        "ORIGINAL,DERIVED,PRIMARY,SECONDARY,AXIAL,LOCALIZER,OTHER,REFORMATTED,SINGLE PLANE,BIPLANE A,"
        "BIPLANE B,VOLUME,MIXED,NONE,CT_SOM5 SPI,CSA MPR,CSA RESAMPLED,RECON TOMO,EMISSION,CHEST,MPR,"
        "PROJECTION IMAGE,AVERAGE,MAX_IP,MIN_IP,SINGLE,CT"
    ),
    "ConversionType": _terms("DV,DI,DF,WSD,SD,SI,DRW,SYN"),
    "RequestedProcedurePriority": _terms("STAT,HIGH,ROUTINE,MEDIUM,LOW"),
    "RescaleType": _terms("HU,US,OD,HU_MOD,PCT"),
    "ModalityLUTType": _terms("HU,US,OD,HU_MOD,PCT"),
    "LongitudinalTemporalInformationModified": _terms("MODIFIED,REMOVED,UNMODIFIED"),
}
# Of any other code string.
COMMON = _terms(
    "YES,NO,Y,N,ON,OFF,NONE,UNKNOWN,ORIGINAL,DERIVED,DIRECT,SCINTILLATOR,STORAGE,FILM,RECTANGULAR,ROUND,"
    "POLYGONAL,CIRCULAR,BLACK,WHITE,FIXED,FOCUSED,PARALLEL,RECIPROCATING,PORTRAIT,LANDSCAPE,STATIC,CW,CC,"
    "AUTOMATIC,MANUAL,SC,GR,CASSETTE,GANTRY,PATIENT,STRIP,HELICAL MODE,AXIAL MODE,FLAT,WEDGE,BUTTERFLY,"
    "MULTIPLE,SEQUENCED,SPIRAL,CONSTANT_ANGLE,STATIONARY,FREE,MONOCHROME,COLOR,MIXED,TRUE,DISTORTED,VOLUME,"
    "IDENTITY,INVERSE,INSPIRATION,EXPIRATION,BREATH_HOLD,UNRESTRAINED,DX,CR"
)
# Makers of radiography and CT equipment, as a header may begin; those not listed get a pseudonym.
_MAKERS = {
    "Agfa": "agfa", "Canon": "canon", "Carestream": "carestream", "DRTECH": "drtech",
    "Fujifilm": "fuji|fujifilm",
    "GE": "ge medical|ge healthcare|general electric", "Hilum": "hilum", "Hitachi": "hitachi",
    "Hologic": "hologic", "Kodak": "kodak|eastman kodak", "Konica Minolta": "konica",
    "Lumisys": "lumisys", "Neusoft": "neusoft", "Oldelft": "oldelft", "Philips": "philips",
    "Rayence": "rayence", "Samsung": "samsung", "Shimadzu": "shimadzu", "Siemens": "siemens",
    "Swissray": "swissray", "Toshiba": "toshiba", "United Imaging": "uih|united imaging", "Varian": "varian",
    "Vieworks": "vieworks", "iRay": "iray",
}  # fmt: skip
_MAKER_OF = tuple((name, re.compile(rf"(?:{start})\b", re.I)) for name, start in _MAKERS.items())


def term_of(keyword: str, value: object) -> str:
    """The defined term in a value of an attribute; empty where it is none."""
    term = str(value).replace("\0", " ").strip().upper()
    if keyword == "Modality":
        term = "".join(character for character in term if character.isalnum())
    return term if term in TERMS.get(keyword, COMMON) else ""


def maker_of(value: object) -> str:
    """The short name of a known maker of equipment; empty for any other text."""
    text = str(value).strip()
    return next((name for name, start in _MAKER_OF if start.match(text)), "")


MAKERS = frozenset(_MAKERS)
