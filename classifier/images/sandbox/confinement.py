"""What a process gives up before it parses untrusted bytes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from classifier.images.limits import Limits
from classifier.images.sandbox import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CODE = Path(__file__).resolve().parents[3] / "classifier"
# What decoders may have to read: the programs, and what libraries look up.
_READABLE = (
    *(Path(path) for path in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}),
    _CODE,
    *(Path(path) for path in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share", "/usr/local/lib")),
    *(Path(path) for path in ("/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/dev/zero")),
)
NETWORK, FILES, PROCESSES = "network", "files", "processes"


def forbid_network_and_privileges() -> None:
    """Give up new privileges and, where the system allows it, the network; once, before threads start.

    Descendants whose parent has ended become children of this process, which can then end them.
    """
    libc = _libc()
    if libc is None:
        return
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def close_all_but(kept: int) -> None:
    """Close every inherited file except `kept`; the standard ones become /dev/null."""
    os.closerange(0, kept)
    os.closerange(kept + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        if nothing != standard:
            os.dup2(nothing, standard)


def confine(*, read: list[Path], write: list[Path], strict: bool) -> None:
    """Leave this process the named places and the system calls of decoding; the last step before parsing.

    `strict` raises OSError where the system cannot; else what it cannot is left out.
    """
    for restrict in (lambda: landlock.restrict(read=[*_READABLE, *read], write=write), seccomp.restrict):
        try:
            if sys.platform != "linux":
                raise OSError("confinement needs Linux")
            restrict()
        except OSError:
            if strict:
                raise


def open_layers(folder: Path, forbidden: Path) -> list[str]:
    """What a confined process could still do, found by trying in a child: names of open layers.

    `forbidden` is a readable file outside `folder`, which the child may write to.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        names = f"{NETWORK},{FILES},{PROCESSES}"
        try:
            close_all_but(writing)
            limit(Limits())
            confine(read=[], write=[folder], strict=False)
            attempts = {NETWORK: socket.socket, FILES: lambda: forbidden.open("rb"), PROCESSES: _have_a_child}
            names = ",".join(name for name, attempt in attempts.items() if _succeeds(attempt))
        finally:
            os.write(writing, names.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found = pipe.read()
    os.waitpid(pid, 0)
    return [name for name in found.split(",") if name]


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _have_a_child() -> None:
    if os.fork() == 0:
        os._exit(0)


def limit(limits: Limits) -> None:
    """Limit memory, CPU time, output, files and processes of this process; end it with its parent."""
    libc = _libc()
    if libc is not None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # The soft limit, a second before the hard one, ends the process with SIGXCPU: the reason is then known.
    _bound("RLIMIT_CPU", limits.cpu_seconds, limits.cpu_seconds + 1)
    _bound("RLIMIT_AS", limits.memory_bytes)
    _bound("RLIMIT_FSIZE", limits.output_bytes)
    _bound("RLIMIT_NOFILE", limits.open_files)
    _bound("RLIMIT_NPROC", 0)
    _bound("RLIMIT_CORE", 0)


def _bound(name: str, soft: int, hard: int | None = None) -> None:
    kind = getattr(resource, name, None)
    if kind is not None:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (soft, soft if hard is None else hard))


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
