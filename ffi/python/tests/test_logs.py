"""What the core says of its work in the app's own log. Each in a process of its own: a process has one sink."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap

import pytest

from conftest import Handset
from beatbook.testing import Station

PROGRAM = textwrap.dedent(
    """
    import asyncio, json, sys, threading
    from pathlib import Path
    folder, tests, level, manner = sys.argv[1:]
    sys.path.insert(0, tests)
    import beatbook
    from conftest import PIN, Handset

    lines = []

    class Sink(beatbook.LogSink):
        def log(self, level, target, line):
            lines.append((level.name, target, line))
            if manner == "raises":
                raise ValueError("no room for it")

    class Throwing(beatbook.SyncListener):
        def __init__(self):
            self.told = threading.Event()

        def on_status(self, status):
            self.told.set()
            raise ValueError("call 138-1234-5678")

    async def run():
        beatbook.set_log_sink(Sink(), beatbook.LogLevel[level])
        try:
            beatbook.set_log_sink(Sink(), beatbook.LogLevel[level])
        except beatbook.BeatbookError.InvalidInput as twice:
            assert twice.field == "sink"
        else:
            raise AssertionError("a second sink was taken")
        book = await Handset(Path(folder)).open()
        session = await book.unlock((await book.users())[0].user, PIN)
        for _ in range(2):
            listener = Throwing()
            subscription = session.sync().observe(listener)
            assert await asyncio.to_thread(listener.told.wait, 20)
            subscription.cancel()
        await session.set_station(beatbook.StationPlace(address="http://127.0.0.1:1", trust=None))
        await beatbook.sync_now(session.sync(), beatbook.SyncOptions(seconds_max=4))
        await session.lock()
        # The sink is called on a thread of its own.
        await asyncio.sleep(0.5)
        print(json.dumps(lines))

    asyncio.run(run())
    """
)


def heard(handset: Handset, station: Station, name: str, level: str, manner: str = "takes") -> list[tuple[str, str, str]]:
    async def prepare() -> None:
        await (await handset.enrolled(station, name)).lock()

    asyncio.run(prepare())
    command = [sys.executable, "-c", PROGRAM, str(handset.folder), os.path.dirname(__file__), level, manner]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return [tuple(line) for line in json.loads(ran.stdout.splitlines()[-1])]


@pytest.mark.parametrize("manner", ["takes", "raises"])
def test_a_sink_hears_lines_without_numbers_of_people_also_after_it_raised(
    handset: Handset, station: Station, manner: str
) -> None:
    lines = heard(handset, station, f"日志{manner}", "WARN", manner)
    assert {level for level, _, _ in lines} <= {"WARN", "ERROR"}
    thrown = [line for _, target, line in lines if target.startswith("beatbook") and "a listener threw" in line]
    assert len(thrown) == 2, lines
    assert all("▮▮▮" in line and "1234" not in line and "5678" not in line for line in thrown), thrown


def test_a_sink_hears_its_own_level_and_graver_ones_alone(handset: Handset, other: Handset, station: Station) -> None:
    assert not [line for _, _, line in heard(handset, station, "日志二", "ERROR") if "a listener threw" in line]
    lines = heard(other, station, "日志三", "DEBUG")
    assert {"DEBUG", "WARN"} <= {level for level, _, _ in lines}
    assert any("waiting before the next exchange" in line for level, _, line in lines if level == "DEBUG"), lines
