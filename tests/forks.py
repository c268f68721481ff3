"""Jobs that may kill their process: each is done in a fork, so that a kill costs no interpreter start."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from typing import TypeVar

Job = TypeVar("Job")


def done_in_forks(jobs: Iterable[Job], work: Callable[[Job], object]) -> list[int]:
    """How each job ended: the number of the signal that killed it, or its exit status; 0 if it went well."""
    ends = []
    for job in jobs:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(job)
                status = 0
            finally:  # never into the loop of the process that this one was forked from
                if status:
                    traceback.print_exc()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        ends.append(os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
    return ends
