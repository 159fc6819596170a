"""The example as somebody runs it, also after a run that broke off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from beatbook.testing import Station

EXAMPLE = Path(__file__).parent.parent / "examples" / "day.py"


def day(folder: Path, name: str, *given: str) -> dict[str, Any]:
    phone = ["--folder", str(folder), "--name", name, "--pin", "518264"]
    ran = subprocess.run([sys.executable, str(EXAMPLE), *phone, *given], capture_output=True, text=True, timeout=120)
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def test_a_run_that_ended_before_it_was_enrolled_is_made_good_by_the_next(tmp_path: Path, station: Station) -> None:
    invitation = station.invite("示例一")
    with pytest.raises(RuntimeError, match="TryLater"):
        day(tmp_path, "示例一", "--invitation", invitation, "--station", "http://127.0.0.1:1")
    enrolled = day(tmp_path, "示例一", "--invitation", invitation, "--station", station.url)
    assert enrolled["synced"]
    assert day(tmp_path, "示例一")["synced"], "from then on the PIN is enough"


def test_a_walk_without_points_is_told_as_a_wrong_file_and_the_day_goes_on(tmp_path: Path, station: Station) -> None:
    gpx = tmp_path / "walk.gpx"
    gpx.write_text('<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg></trkseg></trk></gpx>')
    invitation = station.invite("示例二")
    with pytest.raises(RuntimeError, match="field='path'"):
        day(tmp_path, "示例二", "--invitation", invitation, "--station", station.url, "--gpx", str(gpx))
    assert day(tmp_path, "示例二")["synced"]
