"""What is refused, at which argument, and that nothing is half done by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import beatbook
from beatbook import Act, BeatbookError, FieldValue, PauseReason, PhotoSource, RecordEdit, RecordFilter

from conftest import Handset
from beatbook.testing import Station

NOBODYS = "00" * 32


def edit(**fields: str) -> RecordEdit:
    return RecordEdit(fields={code: FieldValue.TEXT(value) for code, value in fields.items()}, items=[], notes={})


async def draft(session: beatbook.Session, kind: str, **fields: str) -> str:
    records = session.records()
    begun = await records.draft(kind, None)
    begun.edit = edit(**fields)
    return (await records.save(begun)).id


def test_an_act_that_cannot_follow_is_refused_before_a_draft_is_written(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "提交一")
        records = session.records()
        saved = await draft(session, "household", address="提交里1号")
        # None of the kind's; not open in the first state; one that asks for words; one that asks for a value.
        for act in ("dance", "reopen", "archive", "merge_into"):
            with pytest.raises(BeatbookError.InvalidInput) as wrong:
                await records.submit(saved, act)
            assert wrong.value.field == "act", act
            assert [one.id for one in await records.drafts()] == [saved], "the draft stays"
            assert (await records.page(RecordFilter(kind="household", mine=True))).rows == []
        done = await records.submit(saved, None)
        assert (await records.get(done.record)).row.state == done.state and await records.drafts() == []
        # Hindered by what was typed: that only its author can mend, so the values are kept.
        visit = await draft(session, "visit", household=done.record)
        hindered = await records.submit(visit, "finish")
        assert not hindered.acted and [one for one in hindered.findings if one.hinders]
        assert (await records.get(hindered.record)).row.state == hindered.state
        await session.lock()

    asyncio.run(run())


def test_what_is_wrong_is_told_at_the_arguments_name(handset: Handset, station: Station) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "参数一")
        records, photos = session.records(), session.photos()
        saved = await draft(session, "household", address="参数里1号")
        home = (await records.submit(saved, None)).record
        version = (await records.get(home)).row.version
        for field, call in (
            ("draft", records.discard(saved)),
            ("draft", records.submit(saved, None)),
            ("kind", records.draft("nothing", None)),
            ("act", records.act(home, Act(code="dance", version=version))),
            ("version", records.act(home, Act(code="comment", version="0", comment="好"))),
            ("entry", records.dismiss(NOBODYS)),
            ("entry", records.offer_again(NOBODYS)),
            ("about", records.page(RecordFilter(about="no name"))),
            ("about", records.starting_point("visit", "no name")),
            ("file", photos.want(NOBODYS)),
            ("file", photos.export(NOBODYS, str(handset.folder / "out"))),
            ("patrol", session.patrols().pause(PauseReason.PAUSED)),
            ("place", session.conflicts().settle(home, "nowhere", FieldValue.TEXT("x"), version)),
        ):
            with pytest.raises(BeatbookError.InvalidInput) as wrong:
                await call
            assert wrong.value.field == field
        await session.lock()
        book = await handset.open()
        user = (await book.users())[0].user
        for field, text, place in (("text", "", None), ("place", "楼道有人呼救", "here")):
            with pytest.raises(BeatbookError.InvalidInput) as wrong:
                await book.note(user, text, place)
            assert wrong.value.field == field

    asyncio.run(run())


def test_a_photo_that_is_damaged_here_is_not_said_to_be_a_wrong_path(
    handset: Handset, station: Station, tmp_path: Path
) -> None:
    async def run() -> None:
        session = await handset.enrolled(station, "坏图一")
        home = (await session.records().submit(await draft(session, "household", address="坏图里1号"), None)).record
        visit = await draft(session, "visit", household=home, outcome="done")
        record = (await session.records().submit(visit, None)).record
        content = bytes(range(256)) * 1024
        source = PhotoSource.BYTES(content)
        attached = await session.photos().attach(record, "photos", "image/jpeg", source)
        out = tmp_path / "out.jpg"
        assert await session.photos().export(attached.file, str(out)) == len(content) and out.read_bytes() == content
        with pytest.raises(BeatbookError.InvalidInput) as there:
            await session.photos().export(attached.file, str(out))
        assert there.value.field == "path"
        kept = max((path for path in handset.folder.rglob("*.blobs/*") if path.is_file()), key=lambda path: path.stat().st_size)
        damaged = bytearray(kept.read_bytes())
        damaged[-1] ^= 1
        kept.write_bytes(damaged)
        fresh = tmp_path / "fresh.jpg"
        for call in (session.photos().export(attached.file, str(fresh)), session.photos().content(attached.file)):
            with pytest.raises(BeatbookError.StorageDamaged) as told:
                await call
            assert kept.is_relative_to(told.value.kept_at)
        assert not fresh.exists(), "half a photo is none"
        await session.lock()

    asyncio.run(run())
