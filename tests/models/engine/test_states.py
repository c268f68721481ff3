"""States of a running sequence take the memory that they need, and give it back."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from agentkit.models.engine.states import KeyValueStates, own_pages
from tests.forks import done_in_forks

MEGABYTE = 1024 * 1024


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_room_that_is_not_written_takes_no_memory_and_all_goes_back() -> None:
    before = resident()
    room = own_pages((128, MEGABYTE), torch.uint8)
    assert resident() - before < 16 * MEGABYTE
    room[:64] = 1
    assert 48 * MEGABYTE < resident() - before < 96 * MEGABYTE
    del room
    assert resident() - before < 16 * MEGABYTE


def test_a_sequence_that_grows_keeps_what_it_holds_and_a_copy_keeps_what_it_held() -> None:
    torch.manual_seed(3)
    states = KeyValueStates(2, 3, 32, torch.bfloat16)
    whole = torch.randn(2, 2, 3, 3000, 32).bfloat16()
    for begin in range(0, 3000, 250):
        states.append(whole[:, :, :, begin : begin + 250])
    assert torch.equal(states.segment(0, 3000), whole)
    small, large = states.segment(7, 20), states.segment(100, 2900)  # in the heap, and in pages of its own
    states.truncate(0)
    states.append(torch.zeros_like(whole))
    del states
    assert torch.equal(small, whole[:, :, :, 7:20])
    assert torch.equal(large, whole[:, :, :, 100:2900])


def test_a_child_process_does_not_write_into_the_states_of_its_parent() -> None:
    room = own_pages((4, 1024), torch.uint8)
    room[:] = 1
    assert done_in_forks([2], room.fill_) == [0]
    assert bool((room == 1).all())
