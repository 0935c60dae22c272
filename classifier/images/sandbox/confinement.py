"""Limits that a process sets for itself before it parses untrusted bytes; unsupported ones are skipped."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import signal
import sys

from classifier.images.limits import Limits

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def forbid_network_and_privileges() -> None:
    """Give up new privileges and, where the system allows it, the network; once, before threads start."""
    libc = _libc()
    if libc is None:
        return
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def limit(limits: Limits) -> None:
    """Limit memory, CPU time, output size and open files of this process; end it with its parent."""
    libc = _libc()
    if libc is not None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # The soft limit, a second before the hard one, ends the process with SIGXCPU: the reason is then known.
    _bound("RLIMIT_CPU", limits.cpu_seconds, limits.cpu_seconds + 1)
    _bound("RLIMIT_AS", limits.memory_bytes)
    _bound("RLIMIT_FSIZE", limits.output_bytes)
    _bound("RLIMIT_NOFILE", limits.open_files)
    _bound("RLIMIT_CORE", 0)


def _bound(name: str, soft: int, hard: int | None = None) -> None:
    kind = getattr(resource, name, None)
    if kind is not None:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (soft, soft if hard is None else hard))


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
