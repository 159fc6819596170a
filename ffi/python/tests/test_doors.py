"""Who comes into a book: one process at a time, on its own phone, and while that works its caller goes on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import beatbook
from beatbook import BeatbookError

from beatbook.testing import Station
from conftest import PIN, Handset
from test_luck import household


def test_a_second_process_on_the_same_book_is_told_to_wait(handset: Handset, station: Station) -> None:
    another = """
import asyncio, sys
from pathlib import Path
from beatbook import BeatbookError, RecordFilter
from conftest import PIN, Handset

async def come_in():
    book = await Handset(Path(sys.argv[1])).open()
    try:
        session = await book.unlock((await book.users())[0].user, PIN)
    except BeatbookError.TryLater as later:
        return f"later, {later.after_ms > 0}"
    rows = (await session.records().page(RecordFilter(kind="household", waiting=True))).rows
    return f"in, {len(rows)}"

print(asyncio.run(come_in()))
"""

    def beside() -> str:
        ran = subprocess.run([sys.executable, "-c", another, str(handset.folder)], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    async def run() -> None:
        session = await handset.enrolled(station, "两份一")
        await household(session, "两份路1号")
        assert await asyncio.to_thread(beside) == "later, True"
        await household(session, "两份路2号")
        second = await handset.open()
        with pytest.raises(BeatbookError.TryLater):
            await second.unlock((await second.users())[0].user, PIN)
        await session.lock()
        assert await asyncio.to_thread(beside) == "in, 2"

    asyncio.run(run())


def test_a_book_stays_shut_to_another_phones_keystore_and_whole(handset: Handset, station: Station, tmp_path: Path) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "钥匙一")
        home = await household(session, "钥匙路1号")
        await session.lock()
        strange = beatbook.Platform(vault=beatbook.software_vault(str(tmp_path / "strange")), signer=None, connectivity=None)
        book = await beatbook.Beatbook.open(beatbook.Config(folder=str(handset.folder / "books"), device="copy"), strange)
        for user in await book.users():
            with pytest.raises(BeatbookError.Locked):
                await book.unlock(user.user, PIN)
        own = await handset.open()
        session = await own.unlock((await own.users())[0].user, PIN)
        assert (await session.records().get(home)).row.waiting == 1
        await session.lock()

    asyncio.run(run())


def test_whoever_calls_goes_on_while_a_call_works(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "不堵一")
        await session.lock()
        book = await handset.open()
        user = (await book.users())[0].user
        # Deriving a key from a PIN takes longer than anything else.
        unlocking = asyncio.ensure_future(book.unlock(user, PIN))
        turns = 0
        while not unlocking.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 100, "the loop turned while the key was derived"
        await unlocking.result().lock()

    asyncio.run(run())
