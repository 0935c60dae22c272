"""The transfer syntaxes that `pixel_data` decodes, by the decoders that are installed."""

from __future__ import annotations

from functools import cache

from pydicom.pixels.decoders import base
from pydicom.uid import UID, AllTransferSyntaxes


@cache
def readable_transfer_syntaxes() -> tuple[UID, ...]:
    """Transfer syntaxes with a decoder (PS3.5 section 10 and annex A), uncompressed ones first.

    Loads the decoders' packages, so a process asks for it once, when it starts to receive.
    """
    known = (one for one in AllTransferSyntaxes if one in base._PIXEL_DATA_DECODERS)
    return tuple(sorted((one for one in known if base.get_decoder(one).is_available), key=_order))


def _order(syntax: UID) -> tuple[bool, list[int]]:
    return syntax.is_encapsulated, [int(part) for part in syntax.split(".")]
