"""Why a receiver could not be reached, as a code of the delivery log."""

from __future__ import annotations

import socket
import ssl

from webapp.webhooks.addresses import AddressRefused

REFUSED, UNREACHABLE = "address_refused", "unreachable"
TLS_FAILED, CERTIFICATE_INVALID = "tls_failed", "certificate_invalid"
# By OpenSSL's X509_V_ERR number. An unknown authority can be named in HILUM_WEBHOOK_CA_FILE.
CERTIFICATE_REASONS = {
    10: "certificate_expired",
    18: "certificate_unknown_authority",
    19: "certificate_unknown_authority",
    20: "certificate_unknown_authority",
    21: "certificate_unknown_authority",
    62: "certificate_wrong_host",
    64: "certificate_wrong_host",
}
# The first that fits.
PROBLEMS: dict[type[Exception], str] = {
    AddressRefused: "The address is not allowed: see HILUM_WEBHOOK_NETWORKS; a public address needs TLS.",
    ConnectionRefusedError: "Nothing listens at this address and port.",
    ConnectionResetError: "The receiver closed the connection.",
    TimeoutError: "The receiver did not respond in time.",
    socket.gaierror: "The host name could not be resolved.",
}


def connection_error(error: AddressRefused | OSError) -> str:
    if isinstance(error, AddressRefused):
        return REFUSED
    if isinstance(error, ssl.SSLCertVerificationError):
        return CERTIFICATE_REASONS.get(error.verify_code, CERTIFICATE_INVALID)
    return TLS_FAILED if isinstance(error, ssl.SSLError) else UNREACHABLE


def describe_connection(error: AddressRefused | OSError) -> str:
    """The error for the log: nothing that the receiver has sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    return next((text for kind, text in PROBLEMS.items() if isinstance(error, kind)), type(error).__name__)
