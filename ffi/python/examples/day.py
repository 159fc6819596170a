"""A day with Beatbook, as an app developer would write it: a patrol from a GPX file, a visit drawn from its form, a photo, a sync, a conflict.

    python day.py --folder FOLDER --name NAME --pin PIN [--invitation TEXT --station URL [--trust TEXT]]
                  [--gpx FILE] [--visit ADDRESS --answers FILE [--photo FILE]] [--correct ADDRESS] [--no-sync]

The first run enrols by the invitation that the chief's screen shows; later ones unlock by the PIN. Everything but the sync works without a network.
The last line is what came of it, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import beatbook
from beatbook import FieldSort, FieldValue, RecordEdit, RecordFilter


def edit(fields: dict[str, FieldValue] | None = None) -> RecordEdit:
    return RecordEdit(fields=fields or {}, items=[], notes={})


async def enter(arguments: argparse.Namespace) -> beatbook.Session:
    """Opens the phone, and lets the user in: by his PIN, or by enrolling."""
    platform = beatbook.Platform(
        # A phone brings its keystore here; a desktop has a file.
        vault=beatbook.software_vault(str(Path(arguments.folder) / "vault")),
        signer=None,
        connectivity=None,
    )
    config = beatbook.Config(folder=str(Path(arguments.folder) / "books"), device="Python")
    book = await beatbook.Beatbook.open(config, platform)
    known = [user for user in await book.users() if user.label == arguments.name]
    if known:
        session = await book.unlock(known[0].user, arguments.pin)
    else:
        session = await book.add_user(arguments.name, arguments.pin)
    # He may be known and not enrolled: the run before ended between the two.
    if (await session.state()).is_enrolled:
        return session
    order = beatbook.EnrolOrder(invitation=arguments.invitation, address=arguments.station, trust=arguments.trust)
    enrolled = await session.enrol(order)
    print(f"enrolled at {enrolled.station} as {enrolled.user_name}")
    # The first sync also lets the station help this user in, should he forget his PIN.
    await sync(session)
    return session


async def patrol(session: beatbook.Session, gpx: str) -> str:
    """Records a patrol. A phone hands over what its receiver says, some seconds' worth at a time."""
    patrols = session.patrols()
    if await patrols.active() is None:
        await patrols.start(edit())
    points = await beatbook.gpx_points(gpx)
    counts = beatbook.TrackCounts(points=0, kept=0, dropped=0)
    for at in range(0, len(points), 500):
        counts = await patrols.add_points(points[at : at + 500])
    record = await patrols.finish(edit())
    print(f"patrol: {counts.points} points, {counts.kept} kept")
    return record


def typed(field: beatbook.FieldForm, answer: Any) -> FieldValue:
    """What somebody typed, as the field's control gives it."""
    match field.sort:
        case FieldSort.YES_NO:
            return FieldValue.YES_NO(bool(answer))
        case FieldSort.INTEGER | FieldSort.TIME:
            return FieldValue.NUMBER(int(answer))
        case FieldSort.DECIMAL:
            return FieldValue.DECIMAL(float(answer))
        case _:
            return FieldValue.TEXT(str(answer))


async def fill(records: beatbook.Records, draft: beatbook.Draft, answers: dict[str, Any]) -> beatbook.Draft:
    """Draws the form of any kind, and types the answers in: what is shown follows what was typed before."""
    kind = next(kind for kind in await records.kinds() if kind.code == draft.kind)
    for field in kind.fields:
        now = (await records.validate(draft)).fields[field.code]
        if not now.is_relevant or field.code not in answers:
            continue
        if field.sort == FieldSort.NOTE:
            draft.edit.notes[field.code] = str(answers[field.code])
        else:
            draft.edit.fields[field.code] = typed(field, answers[field.code])
        star = "*" if now.is_required else " "
        print(f"  {star} {field.label.zh} {field.label.en}: {answers[field.code]}")
    # On the disk: a crash from here on loses nothing.
    return await records.save(draft)


async def household(session: beatbook.Session, address: str) -> str:
    """The household of an address: the one that is known, or a new one."""
    records = session.records()
    for row in await records.search(address, 10):
        if row.kind == "household":
            return row.record
    draft = await fill(records, await records.draft("household", None), {"address": address})
    return (await records.submit(draft.id, None)).record


async def visit(session: beatbook.Session, address: str, answers: dict[str, Any], photo: str | None) -> str:
    records = session.records()
    home = await household(session, address)
    draft = await fill(records, await records.draft("visit", None), {"household": home, **answers})
    done = await records.submit(draft.id, "finish")
    for finding in done.findings:
        print(f"  ! {finding.path}: {finding.text.zh} {finding.text.en}")
    if photo:
        media_type = "image/png" if photo.endswith(".png") else "image/jpeg"
        await session.photos().attach(done.record, "photos", media_type, beatbook.PhotoSource.PATH(photo))
    print(f"visit: {done.state}")
    return done.record


async def sync(session: beatbook.Session) -> beatbook.SyncOutcome:
    """Syncs, and shows what still waits while it does."""

    async def progress() -> None:
        async for status in beatbook.watch_sync(session.sync()):
            print(f"  {status.waiting} wait, {status.photos_waiting} photos wait")

    showing = asyncio.create_task(progress())
    session.sync().notify_connectivity(beatbook.Network.FREE)
    outcome = await beatbook.sync_now(session.sync())
    showing.cancel()
    if outcome.trouble:
        print(f"sync: {outcome.trouble.text}")
    return outcome


async def settle(session: beatbook.Session) -> int:
    """Settles each conflict for the value that was written last. An app shows both, and lets the user choose."""
    settled = 0
    for conflict in await session.conflicts().all():
        chosen = max(conflict.claims, key=lambda claim: (claim.at, claim.by.name))
        version = (await session.records().get(conflict.record)).row.version
        await session.conflicts().settle(conflict.record, conflict.path, chosen.value, version)
        print(f"settled {conflict.path}: {chosen.by.name}")
        settled += 1
    return settled


def shown(value: FieldValue) -> str:
    return value.value if isinstance(value, FieldValue.TEXT) else str(value)


async def day(arguments: argparse.Namespace) -> dict[str, Any]:
    session = await enter(arguments)
    result: dict[str, Any] = {"settled": 0}
    if arguments.gpx:
        result["patrol"] = await patrol(session, arguments.gpx)
    if arguments.visit:
        answers = json.loads(Path(arguments.answers).read_text())
        result["visit"] = await visit(session, arguments.visit, answers, arguments.photo)
    if arguments.correct:
        rows = (await session.records().page(RecordFilter(kind="household"))).rows
        await session.records().edit(rows[0].record, edit({"address": FieldValue.TEXT(arguments.correct)}), None)
    if not arguments.no_sync:
        await sync(session)
        result["settled"] = await settle(session)
        await sync(session)
    status = await session.sync().status()
    found = (await session.records().page(RecordFilter(kind="household"))).rows
    result |= {
        "waiting": status.waiting,
        "synced": status.synced,
        "conflicts": status.conflicts,
        "photos_waiting": status.photos_waiting,
        "households": [shown(row.fields["address"]) for row in found],
    }
    await session.lock()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("folder", "name", "pin"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("invitation", "station", "trust", "gpx", "visit", "answers", "photo", "correct"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--no-sync", action="store_true")
    print(json.dumps(asyncio.run(day(parser.parse_args())), ensure_ascii=False))


if __name__ == "__main__":
    main()
