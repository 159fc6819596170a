"""Syncs that stay in touch, what they have of their time, and listeners beside them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest

import beatbook
from beatbook import FieldValue, RecordEdit, RecordFilter, SyncOptions

from conftest import PIN, Handset
from beatbook.testing import Station


async def household(session: beatbook.Session, address: str) -> str:
    records = session.records()
    draft = await records.draft("household", None)
    draft.edit = RecordEdit(fields={"address": FieldValue.TEXT(address)}, items=[], notes={})
    return (await records.submit((await records.save(draft)).id, None)).record


async def until_nothing_waits(session: beatbook.Session, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while (await session.sync().status()).waiting:
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.1)
    return True


def test_what_is_captured_wakes_a_sync_that_keeps_up_and_its_own_writes_do_not(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "随手一")
        async with beatbook.syncing(session.sync(), SyncOptions(keep_up=True)) as run:
            # By then it has synced, and waits for a hint or for five minutes.
            await asyncio.sleep(3)
            home = await household(session, "随手里1号")
            assert await until_nothing_waits(session, 20), "a submitted draft"
            await session.records().edit(
                home, RecordEdit(fields={"address": FieldValue.TEXT("随手里2号")}, items=[], notes={}), None
            )
            assert await until_nothing_waits(session, 20), "an edit"
            # Were it to wake itself it would do so twice a second.
            await asyncio.sleep(10)
            run.cancel()
            outcome = await asyncio.wait_for(run.finished(), 30)
        assert outcome.accepted >= 2
        assert outcome.requests < 20, "it does not wake itself"
        await session.lock()

    asyncio.run(run())


def test_a_sync_that_keeps_up_ends_when_its_time_is_over(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "限时一")
        begun = time.monotonic()
        options = SyncOptions(keep_up=True, seconds_max=4)
        outcome = await asyncio.wait_for(beatbook.sync_now(session.sync(), options), 30)
        assert outcome.trouble and outcome.trouble.code == "budget_used" and not outcome.complete
        assert time.monotonic() - begun >= 3.5
        await session.lock()

    asyncio.run(run())


def test_a_sync_that_waits_for_its_turn_ends_when_its_time_is_over(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "排队一")
        async with beatbook.syncing(session.sync(), SyncOptions(keep_up=True)):
            await asyncio.sleep(1)
            waited = await asyncio.wait_for(beatbook.sync_now(session.sync(), SyncOptions(seconds_max=2)), 30)
        assert waited.trouble and waited.trouble.code == "budget_used" and waited.requests == 0
        await session.lock()

    asyncio.run(run())


def test_many_listeners_that_call_back_and_take_their_time_hold_up_no_call(handset: Handset, station: Station) -> None:
    class CallsBack(beatbook.RecordsListener):
        def __init__(self, session: beatbook.Session) -> None:
            self.session = session
            self.sizes: list[int] = []
            self.told = threading.Event()

        def on_page(self, page: beatbook.RecordPage) -> None:
            time.sleep(0.1)
            asyncio.run(self.session.records().kinds())
            self.sizes.append(len(page.rows))
            self.told.set()

    async def run() -> None:
        session = await handset.enrolled(station, "回调一")
        listeners = [CallsBack(session) for _ in range(12)]
        held = [session.records().observe(RecordFilter(kind="household", mine=True), one) for one in listeners]
        await asyncio.wait_for(household(session, "回调里1号"), 30)
        for listener in listeners:
            assert await asyncio.to_thread(listener.told.wait, 30)
        await asyncio.wait_for(session.lock(), 30)
        told = [len(listener.sizes) for listener in listeners]
        await asyncio.sleep(1)
        # One may have been in its call when the session was locked; none begins after.
        assert sum(len(listener.sizes) for listener in listeners) - sum(told) <= 1
        for one in held:
            one.cancel()

    asyncio.run(run())


def test_what_is_watched_ends_when_the_session_is_locked(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "锁流一")

        told = asyncio.Event()

        async def all_of(shown: AsyncIterator[object]) -> int:
            count = 0
            async for _ in shown:
                count += 1
                told.set()
            return count

        pages = asyncio.create_task(all_of(beatbook.watch_records(session.records(), RecordFilter())))
        await asyncio.wait_for(told.wait(), 30)
        states = asyncio.create_task(all_of(beatbook.watch_sync(session.sync())))
        news = asyncio.create_task(all_of(beatbook.watch_news(session.sync())))
        # Each task begins with its subscription.
        await asyncio.sleep(0)
        await session.lock()
        assert await asyncio.wait_for(pages, 30) >= 1
        await asyncio.wait_for(states, 30)
        assert await asyncio.wait_for(news, 30) == 0

    asyncio.run(run())


def test_a_sync_that_keeps_up_tells_what_it_brings(handset: Handset, other: Handset, station: Station) -> None:
    async def run() -> None:
        one = await handset.enrolled(station, "新闻一")
        two = await other.enrolled(station, "新闻二")
        heard: list[list[beatbook.SyncNews]] = []

        async def hear(home: str) -> None:
            async for news in beatbook.watch_news(one.sync()):
                heard.append(news)
                if any(one.code == "records_changed" and one.records == [home] for one in news):
                    return

        home = await household(two, "新闻里1号")
        hearing = asyncio.create_task(hear(home))
        async with beatbook.syncing(one.sync(), SyncOptions(keep_up=True)):
            assert await until_nothing_waits(one, 20)
            await asyncio.sleep(1)
            assert (await beatbook.sync_now(two.sync())).complete
            await asyncio.wait_for(hearing, 30)
        await one.lock()
        await two.lock()

    asyncio.run(run())


def test_the_platform_s_word_on_the_network_counts_and_what_the_app_says_only_wakes(
    handset: Handset, station: Station
) -> None:
    class Asked(beatbook.Connectivity):
        def __init__(self) -> None:
            self.times = 0

        def network(self) -> beatbook.Network:
            self.times += 1
            return beatbook.Network.FREE

    async def run() -> None:
        asked = Asked()
        vault = beatbook.software_vault(str(handset.folder / "vault"))
        platform = beatbook.Platform(vault=vault, signer=None, connectivity=asked)
        config = beatbook.Config(folder=str(handset.folder / "books"), device="test phone")
        session = await (await beatbook.Beatbook.open(config, platform)).add_user("网络一", PIN)
        order = beatbook.EnrolOrder(invitation=station.invite("网络一"), address=station.url, trust=None)
        await session.enrol(order)
        session.sync().notify_connectivity(beatbook.Network.METERED)
        for times in (1, 2):
            assert (await beatbook.sync_now(session.sync())).complete
            assert asked.times == times, "it is asked at each sync"
        await session.lock()

    asyncio.run(run())


def test_a_book_s_key_may_lie_with_a_signer(handset: Handset, station: Station) -> None:
    async def run() -> None:
        folder = str(handset.folder / "vault")
        signer = beatbook.software_signer(folder)
        platform = beatbook.Platform(vault=beatbook.software_vault(folder), signer=signer, connectivity=None)
        config = beatbook.Config(folder=str(handset.folder / "books"), device="test phone")
        book = await beatbook.Beatbook.open(config, platform)
        session = await book.add_user("签名一", PIN)
        order = beatbook.EnrolOrder(invitation=station.invite("签名一"), address=station.url, trust=None)
        await session.enrol(order)
        await household(session, "签名里1号")
        outcome = await beatbook.sync_now(session.sync())
        assert outcome.complete and outcome.accepted == 1
        keys = [file.read_bytes() for file in (handset.folder / "vault").rglob("*") if file.is_file()]
        assert any(b"signing/" in one for one in keys), "not wrapped under the vault"
        key = signer.create("mine")
        assert signer.public_key("mine") == key and len(key) == 33 and len(signer.sign("mine", b"x")) == 64
        with pytest.raises(beatbook.KeyVaultError.Failed):
            signer.create("mine")
        signer.forget("mine")
        with pytest.raises(beatbook.KeyVaultError.Gone):
            signer.public_key("mine")
        await session.lock()

    asyncio.run(run())
