"""Several things at the same time, each on a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def in_threads(*works: Callable[[], Any], timeout: float = 60) -> list[Any]:
    """Run the works at once and result their results in order; an error in one of them is raised."""
    results, errors, start = [None] * len(works), [], threading.Barrier(len(works))

    def run(index: int, work: Callable[[], Any]) -> None:
        try:
            start.wait(timeout)
            results[index] = work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return results
