"""Beatbook's core for Python: record offline, sync, merge.

Everything that touches a file or the network is a coroutine and works on threads of the core's own. What changes is told by asynchronous
iterators (`watch_records`, `watch_patrol`, `watch_sync`, `watch_news`), which end when the session is locked; `syncing` ends a sync when the task that waits for it is cancelled.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from ._core import *  # noqa: F403
from . import _core
from ._core import (
    ActivePatrol,
    BeatbookError,
    Patrols,
    RecordFilter,
    RecordPage,
    Records,
    StationSync,
    Subscription,
    SyncNews,
    SyncOptions,
    SyncOutcome,
    SyncRun,
    SyncStatus,
)

# Library and bindings of different builds would misread each other: the generated half has the check, and leaves calling it to us.
_core._uniffi_check_api_checksums(_core._UniffiLib)

# Nothing may call into the interpreter once it ends: a thread of the core that did would take the process down with it.
atexit.register(_core.rest, 10)

_Shown = TypeVar("_Shown")


class _Mailbox(Generic[_Shown]):
    """Holds what was told, from the core's threads, for the loop: all of it, or for who is slow the newest alone."""

    def __init__(self, keeps_all: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._keeps_all = keeps_all
        self._told: list[_Shown] = []
        self._is_over = False
        self._came = asyncio.Event()

    def put(self, shown: _Shown) -> None:
        try:
            self._loop.call_soon_threadsafe(self._take, shown)
        except RuntimeError:
            # The loop is closed: nobody looks any more.
            pass

    def _take(self, shown: _Shown) -> None:
        if not self._keeps_all:
            self._told.clear()
        self._told.append(shown)
        self._came.set()

    def end(self) -> None:
        """Nothing more is told."""
        self._is_over = True
        self._came.set()

    async def all(self) -> AsyncIterator[_Shown]:
        while True:
            await self._came.wait()
            self._came.clear()
            while self._told:
                yield self._told.pop(0)
            if self._is_over:
                return


class _RecordsMailbox(_Mailbox[RecordPage], _core.RecordsListener):
    def on_page(self, page: RecordPage) -> None:
        self.put(page)


class _PatrolMailbox(_Mailbox["ActivePatrol | None"], _core.PatrolListener):
    def on_patrol(self, patrol: ActivePatrol | None) -> None:
        self.put(patrol)


class _SyncMailbox(_Mailbox[SyncStatus], _core.SyncListener):
    def on_status(self, status: SyncStatus) -> None:
        self.put(status)


class _NewsMailbox(_Mailbox["list[SyncNews]"], _core.NewsListener):
    def on_news(self, news: list[SyncNews]) -> None:
        self.put(news)


async def _watch(mailbox: _Mailbox[_Shown], observe: Callable[[], Subscription]) -> AsyncIterator[_Shown]:
    subscription = observe()

    async def ends() -> None:
        await subscription.ended()
        mailbox.end()

    ending = asyncio.ensure_future(ends())
    try:
        async for shown in mailbox.all():
            yield shown
    finally:
        ending.cancel()
        subscription.cancel()


def watch_records(records: Records, filter: RecordFilter) -> AsyncIterator[RecordPage]:
    """How a list looks: now, and whenever it looks different."""
    mailbox = _RecordsMailbox()
    return _watch(mailbox, lambda: records.observe(filter, mailbox))


def watch_patrol(patrols: Patrols) -> AsyncIterator[ActivePatrol | None]:
    """How the patrol stands: now, and whenever that changes."""
    mailbox = _PatrolMailbox()
    return _watch(mailbox, lambda: patrols.observe(mailbox))


def watch_sync(sync: StationSync) -> AsyncIterator[SyncStatus]:
    """Where the book stands with its station: now, while a sync goes on, and whenever that changes."""
    mailbox = _SyncMailbox()
    return _watch(mailbox, lambda: sync.observe(mailbox))


def watch_news(sync: StationSync) -> AsyncIterator[list[SyncNews]]:
    """What syncs bring that an app may want to show, those of a sync that keeps up too: each exchange's news once, in order."""
    mailbox = _NewsMailbox(keeps_all=True)
    return _watch(mailbox, lambda: sync.observe_news(mailbox))


async def sync_now(sync: StationSync, options: SyncOptions | None = None) -> SyncOutcome:
    """Syncs, and cancels the sync when the task that waits for it is cancelled."""
    async with syncing(sync, options) as run:
        return await run.finished()


@asynccontextmanager
async def syncing(sync: StationSync, options: SyncOptions | None = None) -> AsyncIterator[SyncRun]:
    """A sync that runs as long as the block: one that keeps up ends with it."""
    run = sync.start(options or SyncOptions())
    try:
        yield run
    finally:
        run.cancel()


__version__ = _core.version()
__all__ = [
    *(name for name in dir(_core) if not name.startswith("_") and getattr(getattr(_core, name), "__module__", None) == _core.__name__),
    "sync_now",
    "syncing",
    "watch_news",
    "watch_patrol",
    "watch_records",
    "watch_sync",
]
