from __future__ import annotations

import logging
import os
import signal
import ssl
import threading

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.dicom.listener.server import Listener, Options, is_unprotected

logger = logging.getLogger(__name__)

# `tools/supervise.py` kills what takes longer than 10.
STOP_SECONDS = 7.0


class Command(BaseCommand):
    help = "Receive images by C-STORE until stopped. Settings: DICOM_* in docs/settings.md."

    def handle(self, **options) -> None:
        asked = configured()
        if settings.PRODUCTION and is_unprotected(asked):
            raise CommandError(
                "Production receives over TLS. Set DICOM_TLS_CERTIFICATE and DICOM_TLS_KEY, or bind the "
                "listener to a loopback address (DICOM_BIND) behind a TLS proxy."
            )
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        try:
            listener = Listener(asked)
        except (OSError, ssl.SSLError) as error:
            raise CommandError(f"Cannot listen on {asked.host} port {asked.port}: {error}") from error
        listener.start()
        how = "TLS" if asked.certificate else "no TLS"
        logger.info("%s listens on %s port %d, %s", asked.ae_title, asked.host, listener.port, how)
        stopping.wait()
        left = listener.stop(STOP_SECONDS)
        logger.info("stopped; %d associations aborted", left)
        # The library's threads are not daemons: one that waits for its peer would hold the process.
        logging.shutdown()
        os._exit(0)


def configured() -> Options:
    return Options(
        host=settings.DICOM_BIND,
        port=settings.DICOM_PORT,
        ae_title=settings.DICOM_AE_TITLE,
        associations=settings.DICOM_MAX_ASSOCIATIONS,
        certificate=settings.DICOM_TLS_CERTIFICATE,
        key=settings.DICOM_TLS_KEY,
        authority=settings.DICOM_TLS_CA,
    )
