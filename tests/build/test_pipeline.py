"""What the jobs on real computers run, run here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.build.signing_desk import EXAMPLE, built
from tests.windows.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
JOBS = ROOT / ".github"
LIFE_S = 200

pytestmark = [pytest.mark.linux, pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_life_of_a_program_on_windows(lab: Lab, tmp_path) -> None:
    """Installed, started, paused, updated, an update taken back, stopped, taken away: each word does its work."""
    first = built(EXAMPLE, tmp_path / "first", "--version", "1.0")
    second = built(EXAMPLE, tmp_path / "second", "--version", "2.0")
    broken = built(JOBS / "one-file-broken.py", tmp_path / "broken", "--name", "collector", "--version", "3.0")
    place = lab.drive / "Program Files" / "Prices"
    environment = {**lab._environment, "LOADER": "wine", "PLACE": str(place)}  # noqa: SLF001  # it calls Wine itself

    done = subprocess.run(
        [JOBS / "one-file-life.sh", first, second, broken], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIFE_S, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
    assert "[update.rolled-back]" in done.stdout
    assert "price-collector is uninstalled" in done.stdout
