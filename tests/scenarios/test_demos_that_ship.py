"""The demos under `examples/demos` are what the recording of the greenhouse gives, and a browser shows the page."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Final

import pytest

from agentkit.cli.exports import EXPORTS

SHIPPED: Final = ("demo.cast", "demo.svg", "demo.html", "demo.md")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All kinds of export of the greenhouse, made anew without weights."""
    repository = Path(__file__).resolve().parents[2]
    folder = tmp_path_factory.mktemp("demos")
    exports = [part for name in SHIPPED for part in ("--export", str(folder / name))]
    cache = {
        **os.environ,
        "AGENTKIT_CACHE": str(folder / "no-weights"),
        "AGENTKIT_DATA": str(folder / "data"),
    }
    run = subprocess.run(
        [
            Path(sys.executable).with_name("agentkit"),
            "demo",
            repository / "examples" / "greenhouse",
            "--replay",
            "--typing",
            "28",
            *exports,
        ],
        capture_output=True,
        text=True,
        check=False,
        env=cache,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def words(text: str) -> list[str]:
    """The conversation of an export without its times, which differ from run to run."""
    return [line for line in text.splitlines() if line.startswith(("**You:**", "> "))]


def test_a_recording_that_ships_still_replays(made: Path, repository: Path) -> None:
    shipped = (repository / "examples" / "demos" / "demo.md").read_text()
    assert words((made / "demo.md").read_text()) == words(shipped)
    assert len(words(shipped)) > 10


def test_one_of_each_kind_ships(repository: Path) -> None:
    assert {path.suffix for path in (repository / "examples" / "demos").iterdir()} >= set(EXPORTS)


@pytest.mark.slow
def test_a_browser_shows_the_page_light_and_dark(made: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser is not None, "install a browser: apt-get install chromium"
    shades = []
    for scheme in (1, 0):  # light, dark
        picture = tmp_path / f"{scheme}.png"
        subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,1200",
                f"--user-data-dir={tmp_path / 'browser'}", f"--blink-settings=preferredColorScheme={scheme}",
                f"--screenshot={picture}", (made / "demo.html").as_uri(),
            ],
            capture_output=True,
            timeout=120,
            check=True,
        )  # fmt: skip
        shades.append(corner(picture))
    assert shades[0] > 200, "the light page is not light"
    assert shades[1] < 60, "the dark page is not dark"


@pytest.mark.slow
def test_the_page_is_complete_in_a_browser_and_plays(made: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser is not None, "install a browser: apt-get install chromium"
    page = (made / "demo.html").read_text().replace("</body>", "<script>find_next()</script></body>")
    page = page.replace("find_next()", "document.getElementById('next').click()")
    (tmp_path / "page.html").write_text(page)
    run = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}",
            "--virtual-time-budget=20000", "--dump-dom", (tmp_path / "page.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )  # fmt: skip
    assert ">1 of 6<" in run.stdout, "one line was played, the others wait"
    assert 'class="turn hidden"' in run.stdout


def corner(picture: Path) -> int:
    """How light the top left pixel of a PNG is, 0 to 255."""
    data = picture.read_bytes()
    place, packed = 8, b""
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        if data[place + 4 : place + 8] == b"IDAT":
            packed += data[place + 8 : place + 8 + length]
        place += 12 + length
    first = zlib.decompress(packed)[1:4]
    return sum(first) // 3
