"""Bad input and bad luck: typed errors, no crash, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import beatbook
from beatbook import BeatbookError, FieldValue, RecordEdit, RecordFilter

from conftest import PIN, Handset
from beatbook.testing import Station


def edit(**fields: str) -> RecordEdit:
    return RecordEdit(fields={code: FieldValue.TEXT(value) for code, value in fields.items()}, items=[], notes={})


async def household(session: beatbook.Session, address: str) -> str:
    records = session.records()
    draft = await records.draft("household", None)
    draft.edit = edit(address=address)
    return (await records.submit((await records.save(draft)).id, None)).record


def test_a_wrong_pin_counts_and_the_right_one_opens(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "密码一")
        await session.lock()
        book = await handset.open()
        user = (await book.users())[0]
        assert not user.is_open and user.label == "密码一"
        with pytest.raises(BeatbookError.InvalidInput) as wrong:
            await book.unlock(user.user, "000001")
        assert wrong.value.field == "pin"
        assert (await book.lock_state(user.user)).tries_left == 9
        with pytest.raises(BeatbookError.InvalidInput) as unknown:
            await book.unlock("0123", PIN)
        assert unknown.value.field == "user"
        for pin in ("123456", "1", ""):
            with pytest.raises(BeatbookError.InvalidInput):
                await book.add_user("新人", pin)
        session = await book.unlock(user.user, PIN)
        assert (await book.lock_state(user.user)).tries_left == 10
        with pytest.raises(BeatbookError.TryLater):
            await book.unlock(user.user, PIN)
        await session.lock()

    asyncio.run(run())


def test_a_locked_session_gives_nothing_and_takes_an_emergency_note(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "锁定一")
        records, sync = session.records(), session.sync()
        home = await household(session, "静安里5号")
        await session.lock()
        await session.lock()
        for call in (records.get(home), records.kinds(), sync.status(), session.state(), session.patrols().active()):
            with pytest.raises(BeatbookError.Locked):
                await call
        with pytest.raises(BeatbookError.Locked):
            await sync.start(beatbook.SyncOptions()).finished()
        book = await handset.open()
        user = (await book.users())[0].user
        await book.note(user, "楼道有人呼救", "geo:39.97,116.44")
        assert (await book.lock_state(user)).notes_waiting == 1
        with pytest.raises(BeatbookError.InvalidInput):
            await book.note(user, "", None)
        session = await book.unlock(user, PIN)
        await beatbook.sync_now(session.sync())
        assert (await book.lock_state(user)).notes_waiting == 0
        assert (await session.records().get(home)).facts.fields["address"] == FieldValue.TEXT("静安里5号")
        await session.lock()

    asyncio.run(run())


def test_a_note_that_no_station_takes_goes_to_a_custodian_also_from_a_phone_that_was_put_out_of_use(
    handset: Handset, station: Station
) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "托付一")
        await session.lock()
        book = await handset.open()
        user = (await book.users())[0].user
        await book.note(user, "楼道有人呼救", None)
        [note] = await book.notes_waiting(user)
        assert not note.is_refused and "楼道".encode() not in note.file
        assert not await book.note_taken(user, note.note), "the station may still take it"
        for name, one, field in ((user, "no name", "note"), ("0123", note.note, "user")):
            with pytest.raises(BeatbookError.InvalidInput) as wrong:
                await book.note_taken(name, one)
            assert wrong.value.field == field
        # Where the core puts a note that the station would not have.
        [kept] = handset.folder.rglob("*.note")
        (kept.parent / "refused").mkdir()
        kept.rename(kept.parent / "refused" / kept.name)
        own = next(one["book"] for one in station.call("GET", "/api/v1/phones")["phones"] if one["user_name"] == "托付一")
        station.call("POST", f"/api/v1/books/{own}/end", {"why": "lost"})
        session = await book.unlock(user, PIN)
        assert (await beatbook.sync_now(session.sync())).parted
        assert [(one.user, one.why) for one in await book.parted()] == [(user, "lost")] and await book.users() == []
        [left] = await book.notes_waiting(user)
        assert left.is_refused and (left.note, left.file, left.at) == (note.note, note.file, note.at)
        assert not await book.dismiss_parted(user), "nobody has the note yet"
        assert await book.note_taken(user, left.note) and not await book.note_taken(user, left.note)
        assert await book.notes_waiting(user) == [] and await book.dismiss_parted(user)
        assert await book.parted() == []

    asyncio.run(run())


def test_a_listener_that_throws_is_told_of_the_next_change_and_after_cancel_of_none(
    handset: Handset, station: Station
) -> None:
    class Throwing(beatbook.RecordsListener):
        def __init__(self) -> None:
            self.told = 0

        def on_page(self, page: beatbook.RecordPage) -> None:
            self.told += 1
            raise ValueError("not today")

    async def run() -> None:
        session = await handset.enrolled(station, "监听一")
        listener = Throwing()
        subscription = session.records().observe(RecordFilter(kind="household"), listener)
        for number in range(3):
            await household(session, f"北里{number}号")
            told = listener.told
            for _ in range(100):
                if listener.told > told:
                    break
                await asyncio.sleep(0.02)
            assert listener.told > told
        subscription.cancel()
        await asyncio.sleep(0.2)
        told = listener.told
        await household(session, "北里9号")
        await asyncio.sleep(0.3)
        assert listener.told == told
        await session.lock()

    asyncio.run(run())


def test_what_changes_is_told_in_order_and_coalesced(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "观察一")
        sizes = []

        async def watch() -> None:
            async for page in beatbook.watch_records(session.records(), RecordFilter(kind="household", mine=True)):
                sizes.append(len(page.rows))
                if len(page.rows) == 20:
                    return

        watching = asyncio.create_task(watch())
        for number in range(20):
            await household(session, f"南里{number}号")
        await asyncio.wait_for(watching, 20)
        assert sizes == sorted(sizes) and sizes[-1] == 20 and len(sizes) <= 21
        await session.lock()

    asyncio.run(run())


def test_a_cancelled_sync_keeps_what_it_did_and_the_next_goes_on(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "取消一")
        for number in range(5):
            await household(session, f"东里{number}号")
        run = session.sync().start(beatbook.SyncOptions(keep_up=True))
        run.cancel()
        outcome = await asyncio.wait_for(run.finished(), 30)
        assert outcome.trouble and outcome.trouble.code == "cancelled"
        assert (await run.finished()) == outcome
        done = await beatbook.sync_now(session.sync())
        assert done.complete and (await session.sync().status()).waiting == 0
        await household(session, "东里6号")
        async with beatbook.syncing(session.sync(), beatbook.SyncOptions(keep_up=True)) as run:
            async for status in beatbook.watch_sync(session.sync()):
                if status.synced and status.waiting == 0:
                    break
            run.cancel()
            outcome = await asyncio.wait_for(run.finished(), 30)
        assert (outcome.accepted, outcome.complete) == (1, False), "what it did before it was cancelled is told"
        keeping_up = asyncio.create_task(beatbook.sync_now(session.sync(), beatbook.SyncOptions(keep_up=True)))
        await asyncio.sleep(0.3)
        keeping_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping_up
        await asyncio.wait_for(session.lock(), 30)

    asyncio.run(run())


def test_without_a_station_everything_waits_and_says_why(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "断网一")
        await session.set_station(beatbook.StationPlace(address="http://127.0.0.1:1", trust=None))
        await household(session, "西里1号")
        outcome = await beatbook.sync_now(session.sync(), beatbook.SyncOptions(seconds_max=1))
        assert not outcome.complete and outcome.trouble and outcome.trouble.code == "try_later"
        status = await session.sync().status()
        assert (status.waiting, status.why, status.synced) == (1, "failed", False)
        assert [one.why for one in await session.records().waiting()] == ["failed"]
        with pytest.raises(BeatbookError.InvalidInput) as far:
            await session.set_station(beatbook.StationPlace(address="http://example.org", trust=None))
        assert far.value.field == "address"
        with pytest.raises(BeatbookError.InvalidInput) as bare:
            await session.set_station(beatbook.StationPlace(address="https://example.org", trust=None))
        assert bare.value.field == "trust"
        await session.set_station(beatbook.StationPlace(address=station.url, trust=None))
        assert (await beatbook.sync_now(session.sync())).complete
        await session.lock()

    asyncio.run(run())


def test_an_invitation_that_is_none_or_was_used_is_said_so(handset: Handset, other: Handset, station: Station) -> None:
    async def run() -> None:
        invitation = station.invite("邀请一")
        for text in ("", "https://example.org", invitation[:-3]):
            session = await (await handset.open()).add_user("甲", PIN)
            with pytest.raises(BeatbookError.InvalidInput) as wrong:
                await session.enrol(beatbook.EnrolOrder(invitation=text, address=station.url, trust=None))
            assert wrong.value.field == "invitation"
            with pytest.raises(BeatbookError.SignInAgain):
                await beatbook.sync_now(session.sync())
            await session.lock()
        book = await other.open()
        first, second = await book.add_user("乙", PIN), await book.add_user("丙", PIN)
        order = beatbook.EnrolOrder(invitation=invitation, address=station.url, trust=None)
        await first.enrol(order)
        with pytest.raises(BeatbookError.InvalidInput):
            await second.enrol(order)
        # A code that leads nowhere moves nobody who has a station.
        nowhere = beatbook.EnrolOrder(invitation=station.invite("邀请二"), address="http://127.0.0.1:1", trust=None)
        with pytest.raises(BeatbookError.TryLater):
            await first.enrol(nowhere)
        known = await first.station()
        assert known and known.address == station.url
        await first.lock()
        await second.lock()

    asyncio.run(run())


def test_a_process_killed_in_the_middle_of_its_writing_loses_nothing_that_it_was_told_of(
    handset: Handset, station: Station
) -> None:
    """The child writes and says each thing that is on the disk; killed at a random moment, the next process finds all of them."""

    async def prepare() -> None:
        session = await handset.enrolled(station, "断电一")
        await session.lock()

    asyncio.run(prepare())
    program = textwrap.dedent(
        """
        import asyncio, sys
        sys.path.insert(0, sys.argv[2])
        from pathlib import Path
        from conftest import PIN, Handset
        from test_luck import household

        async def run():
            book = await Handset(Path(sys.argv[1])).open()
            session = await book.unlock((await book.users())[0].user, PIN)
            for number in range(100000):
                print(await household(session, f"断电路{number}号"), flush=True)

        asyncio.run(run())
        """
    )
    told: list[str] = []
    for kill_after in (1, 7, 20):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(handset.folder), os.path.dirname(__file__)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout
        for _ in range(kill_after):
            told.append(child.stdout.readline().strip())
        child.send_signal(signal.SIGKILL)
        told.extend(line.strip() for line in child.stdout if line.endswith("\n"))
        child.wait()

    async def look() -> None:
        book = await handset.open()
        session = await book.unlock((await book.users())[0].user, PIN)
        for record in told:
            assert (await session.records().get(record)).row.waiting == 1
        outcome = await beatbook.sync_now(session.sync())
        assert outcome.complete and outcome.accepted >= len(told) >= 28
        await session.lock()

    asyncio.run(look())


def test_a_log_sink_hears_and_reads_no_secrets() -> None:
    assert beatbook.redact("call 13812345678") == "call ▮▮▮"
    assert beatbook.version() == beatbook.__version__


def test_a_damaged_book_is_set_aside_and_said_so(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "损坏一")
        await household(session, "损坏路1号")
        await session.lock()
        files = [path for path in handset.folder.rglob("*") if path.is_file() and path.stat().st_size > 100_000]
        database = max(files, key=lambda path: path.stat().st_size)
        content = bytearray(database.read_bytes())
        for at in range(4096, len(content), 4096):
            content[at : at + 64] = b"\xff" * 64
        database.write_bytes(content)
        for beside in database.parent.glob(database.name + "-*"):
            beside.unlink()
        book = await handset.open()
        user = (await book.users())[0].user
        session = await book.unlock(user, PIN)
        kept = (await session.state()).damaged_kept_at
        assert kept and open(kept, "rb").read() == content, "every byte is kept"
        assert not (await session.state()).is_enrolled
        await session.lock()

    asyncio.run(run())


def test_bindings_of_another_build_are_refused_when_they_are_loaded(tmp_path: Path) -> None:
    import re
    import shutil

    package = tmp_path / "beatbook"
    shutil.copytree(os.path.dirname(beatbook.__file__), package)
    core = package / "_core.py"
    text = core.read_text()
    changed = re.sub(r"(_checksum_method_records_page\(\) != )(\d+)", lambda m: m[1] + str((int(m[2]) + 1) % 65536), text)
    assert changed != text
    core.write_text(changed)
    loaded = subprocess.run([sys.executable, "-c", "import beatbook"], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert loaded.returncode == 1 and "checksum" in loaded.stderr, loaded.stderr
