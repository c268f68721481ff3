"""Compiled code is kept on disk, and a bad file costs time only."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from agentkit.models.machine_code import Instructions, MachineCode, instructions
from agentkit.models.machine_code.object_files import object_code
from agentkit.models.paths import CACHE_VARIABLE


class Compiler:
    def __init__(self, code: bytes) -> None:
        self.code, self.asked = code, 0

    def __call__(self) -> bytes:
        self.asked += 1
        return self.code


def test_code_is_compiled_once_for_the_same_text_and_processor(tmp_path: Path) -> None:
    compiler = Compiler(b"some code")
    assert [object_code(tmp_path / "new", "text", compiler) for _ in range(2)] == [b"some code"] * 2
    assert compiler.asked == 1
    object_code(tmp_path / "new", "another text", compiler)
    assert compiler.asked == 2


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 32 + b"some code"])
def test_a_damaged_file_is_made_again_with_a_line_in_the_log(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = Compiler(b"some code")
    object_code(tmp_path, "text", compiler)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert object_code(tmp_path, "text", compiler) == b"some code"
    assert compiler.asked == 2
    assert caplog.messages == [f"{path} is damaged; it is made again."]
    object_code(tmp_path, "text", compiler)
    assert compiler.asked == 2


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert object_code(tmp_path / "file", "text", Compiler(b"some code")) == b"some code"
    assert "could not be kept" in caplog.text


@pytest.mark.parametrize("chosen", [each for each in [instructions()] if each is not None])
def test_code_from_the_disk_is_the_code_that_was_compiled(
    chosen: Instructions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    fresh = MachineCode(chosen)
    (path,) = (tmp_path / "machine-code").iterdir()
    written = path.stat().st_mtime_ns
    kept = MachineCode(chosen)
    assert path.stat().st_mtime_ns == written
    size = 64
    code = ctypes.string_at(fresh.multiply[8], size)
    assert ctypes.string_at(kept.multiply[8], size) == code
