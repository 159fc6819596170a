"""A day on one phone and its merge with another, over a real station."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import beatbook
from beatbook import FieldValue, PauseReason, PhotoSource, PointSource, RecordEdit, RecordFilter, TrackPoint

from conftest import PIN, Handset
from beatbook.testing import Station

START = 1_700_000_000_000


def text(value: str) -> FieldValue:
    return FieldValue.TEXT(value)


def edit(**fields: FieldValue) -> RecordEdit:
    return RecordEdit(fields=fields, items=[], notes={})


def walk(points: int, since: int = 0) -> list[TrackPoint]:
    return [
        TrackPoint(at=START + 1000 * n, lat=39.97 + n * 2e-5, lon=116.44, accuracy_m=8.0, source=PointSource.GPS)
        for n in range(since, since + points)
    ]


async def household(session: beatbook.Session, address: str) -> str:
    records = session.records()
    draft = await records.draft("household", None)
    draft.edit = edit(address=text(address), place=text("geo:39.971743,116.441827;u=12"))
    draft = await records.save(draft)
    return (await records.submit(draft.id, None)).record


def test_a_patrol_goes_on_after_the_process_let_go_of_it(handset: Handset, station: Station) -> None:
    async def day() -> None:
        session = await handset.enrolled(station, "巡逻一")
        patrols = session.patrols()
        record = await patrols.start(edit())
        with pytest.raises(beatbook.BeatbookError.InvalidInput):
            await patrols.start(edit())
        await patrols.add_points(walk(100))
        again = await patrols.add_points(walk(100))
        assert again.points == 100, "a batch that is handed over again adds nothing"
        await session.lock()
        book = await handset.open()
        user = (await book.users())[0]
        session = await book.unlock(user.user, PIN)
        active = await session.patrols().active()
        assert active and active.record == record and active.counts.points == 100
        await session.patrols().pause(PauseReason.PAUSED)
        dropped = await session.patrols().add_points(walk(10, since=100))
        assert dropped.points == 110
        # One point of before the pause was still held back.
        assert dropped.kept - active.counts.kept <= 1 and dropped.dropped >= 10
        await session.patrols().resume()
        await session.patrols().add_points(walk(50, since=200))
        assert await session.patrols().finish(edit()) == record
        assert await session.patrols().active() is None
        outcome = await beatbook.sync_now(session.sync())
        assert outcome.complete and outcome.refused == 0 and outcome.accepted > 0
        await session.lock()

    asyncio.run(day())


def test_any_kind_is_drawn_from_its_form_and_told_what_is_missing(handset: Handset, station: Station) -> None:
    async def day() -> None:
        session = await handset.enrolled(station, "走访一")
        records = session.records()
        kinds = {kind.code: kind for kind in await records.kinds()}
        assert {"household", "incident", "patrol", "request", "visit"} <= set(kinds)
        for kind in kinds.values():
            assert kind.label.zh and kind.label.en and kind.fields and kind.states and kind.acts
            for field in kind.fields:
                assert field.label.zh and field.purpose
                if field.sort in (beatbook.FieldSort.CHOICE, beatbook.FieldSort.CHOICES):
                    assert field.choices
        home = await household(session, "幸福里7号楼2单元301")
        draft = await records.draft("visit", None)
        form = await records.validate(draft)
        missing = {finding.path for finding in form.findings if finding.code == "required"}
        assert "fields/outcome" in missing and form.fields["outcome"].is_required
        draft.edit = edit(household=text(home), outcome=text("done"), started_at=FieldValue.NUMBER(START))
        typed = await records.validate(draft)
        assert "fields/outcome" not in {finding.path for finding in typed.findings}
        draft = await records.save(draft)
        done = await records.submit(draft.id, "finish")
        assert (done.acted, done.state) == (True, "done")
        view = await records.get(done.record)
        assert view.facts.fields["outcome"] == text("done")
        assert view.row.about == home and view.acts_open
        assert [row.record for row in await records.search("幸福里", 10)] == [home]
        hindered = await records.act(done.record, beatbook.Act(code="refuse", version=view.row.version))
        assert (hindered.acted, hindered.state) == (False, "done")
        assert [finding.code for finding in hindered.findings if finding.hinders] == ["rule:outcome_refused"]
        near = await records.nearby("household", "geo:39.9718,116.4418", 200.0, 5)
        assert [one.row.record for one in near] == [home] and near[0].metres < 50
        assert await records.nearby("household", "geo:39.9,116.4", 200.0, 5) == []
        await session.lock()

    asyncio.run(day())


def test_what_must_be_done_is_listed_with_the_time_by_the_kinds_clock(handset: Handset, station: Station) -> None:
    async def day() -> None:
        session = await handset.enrolled(station, "时限一")
        records = session.records()
        draft = await records.draft("incident", None)
        draft.edit = edit(title=text("路灯不亮")) if any(
            field.code == "title" for kind in await records.kinds() if kind.code == "incident" for field in kind.fields
        ) else edit(place=text("geo:39.97,116.44"))
        opened = await records.submit((await records.save(draft)).id, None)
        due = [one for one in await records.due(500) if one.row.record == opened.record]
        assert [(one.row.record, one.clock, one.is_late) for one in due] == [(opened.record, "first_report", False)]
        assert due[0].until - due[0].row.opened_at == 20 * 60_000
        await session.lock()

    asyncio.run(day())


def test_a_photo_is_small_here_whole_there_and_leaves_only_when_asked(
    handset: Handset, other: Handset, station: Station, tmp_path: Path
) -> None:
    async def day() -> None:
        one, two = await handset.enrolled(station, "拍照一"), await other.enrolled(station, "拍照二")
        home = await household(one, "光明路1号")
        draft = await one.records().draft("visit", None)
        draft.edit = edit(household=text(home), outcome=text("done"))
        visit = (await one.records().submit((await one.records().save(draft)).id, None)).record
        picture = tmp_path / "门牌.png"
        picture.write_bytes(png(64, 64))
        attached = await one.photos().attach(visit, "photos", "image/png", PhotoSource.PATH(str(picture)))
        assert attached.has_thumbnail
        assert (await one.photos().thumbnail(visit, attached.file) or b"").startswith(b"\xff\xd8")
        one.sync().notify_connectivity(beatbook.Network.FREE)
        sent = await beatbook.sync_now(one.sync())
        assert sent.complete and sent.photos_sent == 2
        await beatbook.sync_now(two.sync())
        held = await two.photos().all(visit)
        assert [photo.file for photo in held] == [attached.file] and not held[0].is_here
        await two.photos().want(attached.file)
        got = await beatbook.sync_now(two.sync())
        assert got.photos_fetched >= 1
        assert await two.photos().content(attached.file) == picture.read_bytes()
        out = tmp_path / "out.png"
        assert await two.photos().export(attached.file, str(out)) == len(picture.read_bytes())
        assert out.read_bytes() == picture.read_bytes()
        with pytest.raises(beatbook.BeatbookError.InvalidInput):
            await two.photos().export(attached.file, str(out))
        await one.lock()
        await two.lock()

    asyncio.run(day())


def test_two_phones_that_wrote_different_things_offline_settle_it(
    handset: Handset, other: Handset, station: Station
) -> None:
    async def day() -> None:
        one, two = await handset.enrolled(station, "冲突一"), await other.enrolled(station, "冲突二")
        home = await household(one, "解放路3号")
        await beatbook.sync_now(one.sync())
        await beatbook.sync_now(two.sync())
        await one.records().edit(home, edit(address=text("解放路3号院")), None)
        await two.records().edit(home, edit(address=text("解放路三号")), None)
        await beatbook.sync_now(one.sync())
        await beatbook.sync_now(two.sync())
        conflicts = await two.conflicts().all()
        assert [(conflict.record, conflict.path) for conflict in conflicts] == [(home, "fields/address")]
        said = [claim.value for claim in conflicts[0].claims]
        assert len(said) == 2 and text("解放路三号") in said and text("解放路3号院") in said
        assert {claim.by.name for claim in conflicts[0].claims} == {"冲突一", "冲突二"}
        version = (await two.records().get(home)).row.version
        with pytest.raises(beatbook.BeatbookError.InvalidInput) as stale:
            await two.conflicts().settle(home, "fields/address", text("解放路3号院"), "00")
        assert stale.value.field == "version"
        await two.conflicts().settle(home, "fields/address", text("解放路3号院"), version)
        await beatbook.sync_now(two.sync())
        await beatbook.sync_now(one.sync())
        for session in (one, two):
            assert (await session.records().get(home)).facts.fields["address"] == text("解放路3号院")
            assert await session.conflicts().all() == []
            assert (await session.sync().status()).synced
            await session.lock()

    asyncio.run(day())


def test_work_goes_by_file_where_no_network_is(handset: Handset, other: Handset, station: Station) -> None:
    async def day() -> None:
        author, carrier = await handset.enrolled(station, "文件一"), await other.enrolled(station, "文件二")
        with pytest.raises(beatbook.BeatbookError.InvalidInput):
            await author.exchange_file().make(0)
        home = await household(author, "和平里9号")
        parcels = await author.exchange_file().make(1_000_000)
        assert len(parcels) == 1 and parcels[0].entries == 1 and "和平里".encode() not in parcels[0].file
        name = await carrier.exchange_file().carry_in(parcels[0].file)
        assert name == parcels[0].parcel
        await beatbook.sync_now(carrier.sync())
        assert [(one.parcel, one.state) for one in await carrier.exchange_file().carried()] == [(name, "answered")]
        taken = await author.exchange_file().take_answer(await carrier.exchange_file().carry_out(name))
        assert (taken.accepted, taken.refused) == (1, 0)
        assert (await author.sync().status()).waiting == 0
        assert (await author.records().get(home)).row.waiting == 0
        await author.lock()
        await carrier.lock()

    asyncio.run(day())


def test_a_station_with_sample_data_gives_a_phone_something_to_show(handset: Handset) -> None:
    async def day() -> None:
        with Station() as station:
            await station.sample_data(households=7)
            session = await handset.enrolled(station, "新人一")
            page = await session.records().page(RecordFilter(kind="household", limit=5))
            rest = await session.records().page(RecordFilter(kind="household", limit=5, after=page.next))
            assert (len(page.rows), len(rest.rows), rest.next) == (5, 2, None)
            assert len((await session.records().page(RecordFilter(kind="visit", about=page.rows[0].record))).rows) == 1
            await session.lock()

    asyncio.run(day())


def png(width: int, height: int) -> bytes:
    """A small grey picture, without a library."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * 3 + y) % 256 for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
