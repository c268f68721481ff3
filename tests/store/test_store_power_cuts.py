"""A power cut at any write: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Final

from agentkit.errors import StoreError
from agentkit.messages import assistant, text_of, user
from agentkit.store.sqlite_store import SqliteStore
from tests.store.power_cut import Disk, store_on
from tests.store.samples import CALL, DONE, finish, open_store

_TURNS: Final = 8
_CUTS: Final = 80


def converse(disk: Disk, path: Path, synchronous: str) -> None:
    """Eight turns with a call each; notes what the store acknowledged."""
    with store_on(disk, path, synchronous) as store:
        for number in range(_TURNS):
            take_turn(store, disk, number)


def take_turn(store: SqliteStore, disk: Disk, number: int) -> None:
    """A turn with a call; notes what the store acknowledged."""
    ada = store.for_user("shop", "ada")
    accepted = ada.accept(ada.new_conversation(), user(f"message {number}"), claim_seconds=60)
    disk.acknowledged.append(f"accepted message {number}")
    assert accepted.claim is not None
    mine, turn_id = ada.under(accepted.claim.lease), accepted.claim.turn.turn.id
    mine.record_step(turn_id, 0, assistant("", [CALL]))
    mine.start_call(turn_id, CALL, effect="write", idempotent=False)
    disk.acknowledged.append(f"started {turn_id}")
    mine.finish_call(turn_id, DONE)
    finish(mine, turn_id, f"message {number}", f"answer {number} " * 300)
    disk.acknowledged.append(f"committed message {number}")


def images_of(folder: Path, synchronous: str) -> Disk:
    """The scenario, with power cuts after random operations."""
    made = folder / "made"
    made.mkdir()
    with open_store(made):
        pass
    counted = _played(made, folder / "counted", frozenset(), synchronous)
    dice = random.Random(5)
    cuts = frozenset(dice.sample(range(1, counted.operations + 1), min(_CUTS, counted.operations)))
    return _played(made, folder / "cut", cuts, synchronous)


def _played(made: Path, folder: Path, cuts: frozenset[int], synchronous: str) -> Disk:
    shutil.copytree(made, folder)
    disk = Disk(cuts)
    disk.load(folder)
    converse(disk, folder / "agentkit.db", synchronous)
    return disk


def found_in(image: dict[str, bytes], folder: Path) -> tuple[list[str], list[str]]:
    """What a store says that is opened on an image: problems, and what was acknowledged and is there."""
    folder.mkdir()
    for name, content in image.items():
        (folder / Path(name).name).write_bytes(content)
    there: list[str] = []
    with SqliteStore.open(folder / "agentkit.db") as store:
        problems = store.problems()
        ada = store.for_user("shop", "ada")
        for conversation in ada.conversations():
            for turn in ada.turns(conversation.id):
                calls = ada.journal(turn.id)
                there += [f"started {turn.id}" for row in calls if row.status != "written"]
                if turn.status == "open":
                    left = ada.open_turn(turn.id)
                    there.append(f"accepted {text_of(left.message)}")
                    if [step.seq for step in left.steps] != list(range(len(left.steps))):
                        problems.append(f"steps of {turn.id} are torn")
                    continue
                said = ada.transcript(conversation.id)
                there += [f"accepted {text_of(said[0])}", f"committed {text_of(said[0])}"]
                if len(said) != 4 or len(ada.events(turn.id)) != 2:
                    problems.append(f"turn {turn.id} is torn")
    return problems, there


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    disk = images_of(tmp_path, "FULL")
    assert len(disk.images) >= _CUTS
    for number, (image, acknowledged) in enumerate(disk.images):
        problems, there = found_in(image, tmp_path / str(number))
        assert problems == []
        assert set(acknowledged) <= set(there)


def test_without_a_sync_for_each_commit_a_power_cut_leaves_a_sound_older_state(tmp_path: Path) -> None:
    disk = images_of(tmp_path, "NORMAL")
    lost = 0
    for number, (image, acknowledged) in enumerate(disk.images):
        problems, there = found_in(image, tmp_path / str(number))
        assert problems == []
        messages = [line for line in acknowledged if line.startswith("committed")]
        kept = [line in there for line in messages]
        assert kept == sorted(kept, reverse=True)  # what is lost is the end
        lost += len(set(acknowledged) - set(there))
    assert lost > 0  # a disk that loses nothing would prove nothing about FULL


def test_an_error_of_the_disk_undoes_one_write_and_the_next_one_works(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    with open_store(made):
        pass
    operations = _played(made, tmp_path / "counted", frozenset(), "FULL").operations
    dice = random.Random(3)
    errors: list[str] = []
    for failing in dice.sample(range(operations // 3, operations), 25):
        folder = tmp_path / str(failing)
        shutil.copytree(made, folder)
        disk = Disk(frozenset(), failing=frozenset([failing]))
        disk.load(folder)
        with store_on(disk, folder / "agentkit.db", "FULL") as store:
            for number in range(_TURNS):
                try:
                    take_turn(store, disk, number)
                except StoreError as error:
                    errors.append(str(error))
            image = {path: bytes(content) for path, content in disk.durable.items()}
        problems, there = found_in(image, tmp_path / f"{failing} read")
        assert problems == []
        assert set(disk.acknowledged) <= set(there)
        assert f"committed message {_TURNS - 1}" in there or failing > operations * 0.8
    assert [error for error in errors if "could not be read or written" not in error] == []
    assert len(errors) >= 10  # a checkpoint that fails is tried again later and hurts nobody
