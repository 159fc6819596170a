"""What a process is killed in: loops of the surface's calls, each told before it is made and after it gave something, and what must hold of what was
told once the process is gone. `test_killed.py` runs them: this file as a program is the process that is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import beatbook
from beatbook import BeatbookError, FieldValue, PauseReason, PhotoSource, RecordEdit, Session

from conftest import PIN, Handset
from test_day import png, walk
from test_luck import edit, household

NEW_PIN = "739164"
WRONG_PIN = "402857"
PATROL = RecordEdit(fields={}, items=[], notes={})

_Given = TypeVar("_Given")


class Told:
    """What a process said before it was killed, in order: `begins` and `did`, the call, what it was about, what it gave."""

    def __init__(self, lines: list[list[Any]]) -> None:
        self.lines = lines

    @property
    def begun(self) -> tuple[str, Any] | None:
        """The call that it was killed in, and what it was about."""
        last: list[Any] = self.lines[-1] if self.lines else ["", "", None]
        return (last[1], last[2]) if last[0] == "begins" else None

    def did(self, call: str) -> list[tuple[Any, Any]]:
        """What calls of a name were about and gave, for those that had success."""
        return [(about, gave) for word, name, about, gave in self.lines if word == "did" and name == call]

    def last(self, call: str, default: Any) -> Any:
        """What the last call of a name that had success was about."""
        return self.did(call)[-1][0] if self.did(call) else default


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Death:
    """When the process ends: in which of its calls, counted from 0, and after what share of the time that a call of this name took before.
    It kills itself, since whoever watches it from outside may be too late for a call of a millisecond.
    """

    # Of a call that was not made before, in seconds.
    FIRST_TOOK = 0.004

    def __init__(self, calls_left: int, share: float) -> None:
        self.calls_left = calls_left
        self.share = share
        self.took: dict[str, float] = {}

    def begun(self, call: str) -> None:
        """To be called once the call has been handed over."""
        self.calls_left -= 1
        if self.calls_left >= 0:
            return
        if not self.share:
            die()
        wait = self.share * self.took.get(call, self.FIRST_TOOK)
        threading.Thread(target=self.die_after, args=(wait,), daemon=True).start()

    @staticmethod
    def die_after(seconds: float) -> None:
        time.sleep(seconds)
        die()


death = Death(sys.maxsize, 0)


async def tell(call: str, made: Awaitable[_Given], about: Any = None, gave: Callable[[_Given], Any] = lambda _: None) -> _Given:
    print(json.dumps(["begins", call, about, None]), flush=True)
    since = time.monotonic()
    task = asyncio.ensure_future(made)
    # The loop takes what is ready in its order: the call first, then this.
    asyncio.get_running_loop().call_soon(death.begun, call)
    given = await task
    death.took[call] = time.monotonic() - since
    print(json.dumps(["did", call, about, gave(given)]), flush=True)
    return given


async def unlocked(phone: Handset, pin: str = PIN) -> Session:
    """Lets in whose phone it is; `adding` gives it others."""
    book = await phone.open()
    own = next(user.user for user in await book.users() if not user.label.startswith("用户"))
    return await book.unlock(own, pin)


async def opening(phone: Handset, given: Any) -> None:
    while True:
        book = await tell("open", phone.open())
        user = (await tell("users", book.users()))[0].user
        session = await tell("unlock", book.unlock(user, PIN))
        await tell("lock", session.lock())


async def opening_holds(phone: Handset, session: Session, told: Told) -> None:
    user = (await (await phone.open()).users())[0].user
    assert (await (await phone.open()).lock_state(user)).tries_left == 10


async def guessing(phone: Handset, given: Any) -> None:
    book = await phone.open()
    user = (await book.users())[0].user

    async def wrong() -> None:
        try:
            await book.unlock(user, WRONG_PIN)
        except BeatbookError.InvalidInput:
            return
        raise AssertionError("a wrong PIN opened the book")

    for _ in range(6):
        await tell("guess", wrong())


async def guessing_counts(phone: Handset, told: Told) -> None:
    """Killing the app gives no try back. Looked at before the right PIN is given."""
    book = await phone.open()
    left = (await book.lock_state((await book.users())[0].user)).tries_left
    tried = len(told.did("guess"))
    assert 10 - tried - (told.begun is not None) <= left <= 10 - tried


async def adding(phone: Handset, given: Any) -> None:
    book = await phone.open()
    since = len(await book.users())
    for number in range(since, 1000):
        session = await tell("add_user", book.add_user(f"用户{number}", PIN), f"用户{number}")
        await tell("lock", session.lock())


async def adding_holds(phone: Handset, session: Session, told: Told) -> None:
    book = await phone.open()
    users = {user.label: user.user for user in await book.users()}
    for label, _ in told.did("add_user"):
        await (await book.unlock(users[label], PIN)).lock()


async def enrolling(phone: Handset, given: dict[str, str]) -> None:
    book = await phone.open()
    session = await book.add_user(given["name"], PIN)
    order = beatbook.EnrolOrder(invitation=given["invitation"], address=given["station"], trust=None)
    await tell("enrol", session.enrol(order))


async def enrolled_goes_on(phone: Handset, given: dict[str, str], told: Told) -> None:
    """The same invitation still opens the book that was being enrolled, whichever end had heard of it."""
    book = await phone.open()
    session = await book.unlock(next(user.user for user in await book.users() if user.label == given["name"]), PIN)
    is_enrolled = (await session.state()).is_enrolled
    assert is_enrolled or not told.did("enrol")
    if not is_enrolled:
        order = beatbook.EnrolOrder(invitation=given["invitation"], address=given["station"], trust=None)
        assert (await session.enrol(order)).user_name == given["name"]
    await household(session, "报到路1号")
    assert (await beatbook.sync_now(session.sync())).complete
    await session.lock()


async def changing(phone: Handset, given: dict[str, str]) -> None:
    session, pin = await unlocked(phone, given["pin"]), given["pin"]
    while True:
        other = NEW_PIN if pin == PIN else PIN
        await tell("change_pin", session.change_pin(pin, other), other)
        pin = other


async def changed_to(phone: Handset, told: Told, before: str) -> str:
    """One PIN opens: the last that was told, or the one of the call that was killed."""
    pin = str(told.last("change_pin", before))
    try:
        await (await unlocked(phone, pin)).lock()
    except BeatbookError.InvalidInput:
        assert told.begun, f"{pin} was told and does not open"
        pin = str(told.begun[1])
        await (await unlocked(phone, pin)).lock()
    return pin


async def patrolling(phone: Handset, given: Any) -> None:
    patrols = (await unlocked(phone)).patrols()
    if await patrols.active():
        await patrols.finish(PATROL)
    while True:
        await tell("start", patrols.start(PATROL), None, lambda record: record)
        for batch in range(4):
            points = walk(50, since=50 * batch)
            await tell("add_points", patrols.add_points(points), None, lambda counts: counts.points)
            if batch == 1:
                await tell("pause", patrols.pause(PauseReason.PAUSED))
                await tell("resume", patrols.resume())
        await tell("finish", patrols.finish(PATROL), None, lambda record: record)


async def patrolling_holds(phone: Handset, session: Session, told: Told) -> None:
    finished = [record for _, record in told.did("finish")]
    for record in finished:
        assert (await session.records().get(record)).row.kind == "patrol"
    active = await session.patrols().active()
    started = [record for _, record in told.did("start") if record not in finished]
    if started and not (told.begun and told.begun[0] == "finish" and active is None):
        since = max(at for at, line in enumerate(told.lines) if line[:2] == ["did", "start"])
        points = [line[3] for line in told.lines[since:] if line[:2] == ["did", "add_points"]]
        assert active and active.record == started[-1] and active.counts.points >= max(points, default=0)
    for record in started:
        await session.records().get(record)


async def writing(phone: Handset, given: Any) -> None:
    records = (await unlocked(phone)).records()
    for number in range(1000):
        for goes in (True, False):
            draft = await records.draft("household", None)
            draft.edit = edit(address=f"草稿路{number}号")
            draft = await tell("save", records.save(draft), f"草稿路{number}号", lambda saved: saved.id)
            if goes:
                await tell("discard", records.discard(draft.id), draft.id)
        home = (await tell("submit", records.submit(draft.id, None), draft.id, lambda done: done.record)).record
        for turn in range(2):
            await tell("edit", records.edit(home, edit(address=f"{number}号{turn}"), None), [home, f"{number}号{turn}"])
        draft = await records.draft("visit", None)
        draft.edit = edit(household=home, outcome="done")
        draft.edit.fields["started_at"] = FieldValue.NUMBER(1_700_000_000_000)
        visit = (await records.submit((await records.save(draft)).id, None)).record
        version = (await records.get(visit)).row.version
        await tell("act", records.act(visit, beatbook.Act(code="finish", version=version)), visit, lambda done: done.state)


async def writing_holds(phone: Handset, session: Session, told: Told) -> None:
    records = session.records()
    drafts = {draft.id: draft.edit for draft in await records.drafts()}
    # What took a draft away, or was about to when the process was killed.
    gone = {about for call in ("discard", "submit") for about, _ in told.did(call)}
    begun = told.begun[1] if told.begun and told.begun[0] in ("discard", "submit") else None
    for address, draft in told.did("save"):
        assert (draft in gone) != (draft in drafts) or draft == begun
        assert draft not in drafts or drafts[draft].fields["address"] == FieldValue.TEXT(address)
    for _, record in told.did("submit"):
        await records.get(record)
    last = {about[0]: about[1] for about, _ in told.did("edit")}
    for home, address in last.items():
        may_be = {address} | ({told.begun[1][1]} if told.begun and told.begun[0] == "edit" else set())
        assert (await records.get(home)).facts.fields["address"] in [FieldValue.TEXT(one) for one in may_be]
    for visit, state in told.did("act"):
        assert (await records.get(visit)).row.state == state == "done"


async def taking_photos(phone: Handset, given: Any) -> None:
    session = await unlocked(phone)
    home, visit = await household(session, "照片路1号"), ""
    for size in range(40, 1000):
        if size % 4 == 0:
            draft = await session.records().draft("visit", None)
            draft.edit = edit(household=home, outcome="done")
            visit = (await session.records().submit((await session.records().save(draft)).id, None)).record
        picture = PhotoSource.BYTES(png(size, size))
        attached = session.photos().attach(visit, "photos", "image/png", picture)
        await tell("attach", attached, [visit, size], lambda photo: photo.file)


async def photos_hold(phone: Handset, session: Session, told: Told) -> None:
    for (visit, size), file in told.did("attach"):
        assert file in {photo.file for photo in await session.photos().all(visit)}
        assert await session.photos().content(file) == png(size, size)


async def syncing(phone: Handset, given: Any) -> None:
    session = await unlocked(phone)
    for number in range(1000):
        await tell("write", household(session, f"同步路{number}号"), None, lambda record: record)
        await tell("sync", beatbook.sync_now(session.sync()), None, lambda outcome: outcome.complete)


async def syncing_holds(phone: Handset, session: Session, told: Told) -> None:
    """All that was written is here, what a sync had carried up waits no more, and the rest goes up with the next."""
    written = [record for _, record in told.did("write")]
    assert all(complete for _, complete in told.did("sync"))
    carried = len(told.did("sync"))
    for at, record in enumerate(written):
        waiting = (await session.records().get(record)).row.waiting
        assert waiting == 0 if at < carried else waiting <= 1
    assert (await beatbook.sync_now(session.sync())).complete
    status = await session.sync().status()
    assert status.synced and status.waiting == 0


async def settling(phone: Handset, given: Any) -> None:
    session = await unlocked(phone)
    for conflict in await session.conflicts().all():
        version = (await session.records().get(conflict.record)).row.version
        value = FieldValue.TEXT("定下来的地址")
        await tell("settle", session.conflicts().settle(conflict.record, conflict.path, value, version), conflict.record)


async def settling_holds(phone: Handset, session: Session, told: Told) -> None:
    open_still = {conflict.record for conflict in await session.conflicts().all()}
    for record, _ in told.did("settle"):
        assert record not in open_still
        assert (await session.records().get(record)).facts.fields["address"] == FieldValue.TEXT("定下来的地址")


async def carrying(phone: Handset, given: dict[str, Any]) -> None:
    session = await unlocked(phone)
    files = session.exchange_file()
    for parcel in given["parcels"]:
        await tell("carry_in", files.carry_in(Path(parcel).read_bytes()), None, lambda name: name)
    await tell("take_answer", files.take_answer(Path(given["answer"]).read_bytes()), given["answered"])
    for _ in range(20):
        await tell("write", household(session, "包裹路1号"), None, lambda record: record)
        await tell("make", files.make(0))


async def carrying_holds(phone: Handset, session: Session, told: Told) -> None:
    files = session.exchange_file()
    carried = {one.parcel for one in await files.carried()}
    assert {name for _, name in told.did("carry_in")} <= carried
    for record, _ in told.did("take_answer"):
        assert (await session.records().get(record)).row.waiting == 0
    for _, record in told.did("write"):
        assert (await session.records().get(record)).row.waiting == 1
    if told.did("write"):
        assert await files.make(0)


async def noting(phone: Handset, given: Any) -> None:
    book = await phone.open()
    user = (await book.users())[0].user
    for number in range(8):
        await tell("note", book.note(user, f"紧急情况{number}", "geo:39.97,116.44"))


async def notes_hold(phone: Handset, told: Told, before: int) -> int:
    """Looked at while the book is locked, as they were written."""
    book = await phone.open()
    waiting = (await book.lock_state((await book.users())[0].user)).notes_waiting
    kept = waiting - before
    assert len(told.did("note")) <= kept <= len(told.did("note")) + (told.begun is not None)
    return waiting


async def placing(phone: Handset, given: dict[str, str]) -> None:
    session = await unlocked(phone)
    while True:
        for address in (given["station"], given["station"].replace("127.0.0.1", "localhost")):
            await tell("set_station", session.set_station(beatbook.StationPlace(address=address, trust=None)), address)


async def placing_holds(phone: Handset, session: Session, told: Told) -> None:
    place = await session.station()
    assert place
    if told.did("set_station"):
        assert place.address in {told.last("set_station", None), told.begun[1] if told.begun else None}


DEEDS: dict[str, Callable[[Handset, Any], Awaitable[None]]] = {
    deed.__name__: deed
    for deed in (
        opening, guessing, adding, enrolling, changing, patrolling, writing, taking_photos, syncing, settling, carrying, noting, placing,
    )
}


async def until_killed(deed: str, folder: str, given: str) -> None:
    await DEEDS[deed](Handset(Path(folder)), json.loads(given))
    # Some deeds come to an end before.
    print(json.dumps(["rests", "", None, None]), flush=True)
    die()


if __name__ == "__main__":
    death = Death(int(sys.argv[4]), float(sys.argv[5]))
    asyncio.run(until_killed(*sys.argv[1:4]))
