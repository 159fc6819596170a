"""The process is killed inside every kind of call, at random moments: the book opens again, nothing is lost that a call had given back, and
the next call works."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import beatbook
from beatbook import Session

import deeds
from conftest import PIN, Handset
from beatbook.testing import Station
from deeds import Told
from test_luck import edit, household

# Kills that met a call, of each deed; and how often it is tried, since one may fall between two calls. Every second one meets the call's very
# beginning, whatever else the machine does: that many are there.
INSIDE = 3
TRIES = 8


def killed(deed: str, turn: int, phone: Handset, given: Any = None, steps: int = 5) -> Told:
    """Runs a deed as a process that ends in one of its first calls, at its beginning or anywhere in it, by the seed."""
    chance = random.Random(f"{deed} {turn}")
    share = chance.uniform(0, 1) if turn % 2 else 0
    child = subprocess.run(
        [sys.executable, deeds.__file__, deed, str(phone.folder), json.dumps(given), str(chance.randrange(steps)), str(share)],
        capture_output=True,
        text=True,
    )
    assert child.returncode == -signal.SIGKILL, f"{deed} ended by itself:\n{child.stderr}"
    return Told([json.loads(line) for line in child.stdout.splitlines(keepends=True) if line.endswith("\n")])


def tried(deed: str, phone: Handset, look: Callable[[Told], Coroutine[Any, Any, None]], given: Callable[[], Any] = lambda: None, steps: int = 5) -> None:
    inside = 0
    for turn in range(TRIES):
        told = killed(deed, turn, phone, given(), steps)
        try:
            asyncio.run(look(told))
        except Exception as fault:
            raise AssertionError(f"{deed}, turn {turn}, killed in {told.begun}, after {told.lines[-6:]}") from fault
        inside += told.begun is not None
        if inside == INSIDE:
            return
    raise AssertionError(f"only {inside} of {TRIES} kills of {deed} met a call")


async def enrolled(phone: Handset, station: Station, name: str) -> None:
    session = await phone.enrolled(station, name)
    await session.lock()


def let_in(phone: Handset, holds: Callable[[Handset, Session, Told], Awaitable[None]]) -> Callable[[Told], Coroutine[Any, Any, None]]:
    """Looks by the PIN: the book opens whole, holds what was told, and takes new work."""

    async def look(told: Told) -> None:
        session = await deeds.unlocked(phone)
        assert (await session.state()).damaged_kept_at is None
        await holds(phone, session, told)
        home = await household(session, "之后路1号")
        assert (await session.records().get(home)).row.waiting == 1
        await session.lock()

    return look


@pytest.mark.parametrize(
    ("deed", "holds"),
    [
        ("opening", deeds.opening_holds),
        ("adding", deeds.adding_holds),
        ("patrolling", deeds.patrolling_holds),
        ("writing", deeds.writing_holds),
        ("taking_photos", deeds.photos_hold),
        ("syncing", deeds.syncing_holds),
    ],
)
def test_killed_in_a_call_a_phone_opens_with_all_that_it_had_told(
    deed: str, holds: Callable[[Handset, Session, Told], Awaitable[None]], handset: Handset, station: Station
) -> None:
    asyncio.run(enrolled(handset, station, f"断电{deed}"))
    tried(deed, handset, let_in(handset, holds))


def test_killed_in_a_wrong_try_it_is_counted_all_the_same(handset: Handset, station: Station) -> None:
    async def look(told: Told) -> None:
        await deeds.guessing_counts(handset, told)
        await (await deeds.unlocked(handset)).lock()

    asyncio.run(enrolled(handset, station, "断电猜测"))
    tried("guessing", handset, look)


def test_killed_while_a_pin_is_changed_one_of_the_two_opens(handset: Handset, station: Station) -> None:
    pin = PIN

    async def look(told: Told) -> None:
        nonlocal pin
        pin = await deeds.changed_to(handset, told, pin)

    asyncio.run(enrolled(handset, station, "断电密码"))
    tried("changing", handset, look, lambda: {"pin": pin})


def test_killed_while_it_enrols_the_same_invitation_goes_on(handset: Handset, station: Station) -> None:
    given: dict[str, str] = {}
    names = iter(f"断电报到{turn}" for turn in range(TRIES))

    def invited() -> dict[str, str]:
        name = next(names)
        given.update(name=name, invitation=station.invite(name), station=station.url)
        return given

    async def look(told: Told) -> None:
        await deeds.enrolled_goes_on(handset, given, told)

    tried("enrolling", handset, look, invited, steps=1)


def test_killed_while_notes_are_written_on_a_locked_phone_those_that_were_kept_are_there(
    handset: Handset, station: Station
) -> None:
    before = 0

    async def look(told: Told) -> None:
        nonlocal before
        before = await deeds.notes_hold(handset, told, before)
        if before > 16:
            session = await deeds.unlocked(handset)
            await beatbook.sync_now(session.sync())
            await session.lock()
            before = 0

    asyncio.run(enrolled(handset, station, "断电记录"))
    tried("noting", handset, look)


def test_killed_while_a_conflict_is_settled_it_is_settled_or_not(handset: Handset, other: Handset, station: Station) -> None:
    async def disagree() -> None:
        one, two = await handset.enrolled(station, "断电冲突一"), await other.enrolled(station, "断电冲突二")
        homes = [await household(one, f"冲突路{number}号") for number in range(5 * TRIES)]
        await beatbook.sync_now(one.sync())
        await beatbook.sync_now(two.sync())
        for session, address in ((one, "甲说的"), (two, "乙说的")):
            for home in homes:
                await session.records().edit(home, edit(address=address), None)
        await beatbook.sync_now(two.sync())
        await beatbook.sync_now(one.sync())
        assert len(await one.conflicts().all()) == len(homes)
        await one.lock()
        await two.lock()

    asyncio.run(disagree())
    tried("settling", handset, let_in(handset, deeds.settling_holds))


def test_killed_while_files_are_exchanged_nothing_of_either_phone_is_lost(
    handset: Handset, other: Handset, station: Station, tmp_path: Path
) -> None:
    parcels = [tmp_path / f"parcel{number}" for number in range(4)]
    answered: list[str] = []

    async def prepare() -> None:
        one, two = await handset.enrolled(station, "断电文件一"), await other.enrolled(station, "断电文件二")
        for parcel in parcels:
            await household(two, "别人路1号")
            parcel.write_bytes((await two.exchange_file().make(0))[0].file)
        answered.append(await household(one, "自己路1号"))
        name = await two.exchange_file().carry_in((await one.exchange_file().make(0))[0].file)
        await beatbook.sync_now(two.sync())
        (tmp_path / "answer").write_bytes(await two.exchange_file().carry_out(name))
        await one.lock()
        await two.lock()

    asyncio.run(prepare())
    given = {"parcels": [str(parcel) for parcel in parcels], "answer": str(tmp_path / "answer"), "answered": answered[0]}
    tried("carrying", handset, let_in(handset, deeds.carrying_holds), lambda: given)


def test_killed_while_the_station_moves_the_phone_knows_where_it_is(handset: Handset, station: Station) -> None:
    asyncio.run(enrolled(handset, station, "断电地址"))
    tried("placing", handset, let_in(handset, deeds.placing_holds), lambda: {"station": station.url})
