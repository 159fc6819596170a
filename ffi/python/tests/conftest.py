"""What the tests stand on: a real station, and phones in folders of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import beatbook
from beatbook.testing import Station

PIN = "518264"


@pytest.fixture(scope="session")
def station() -> Iterator[Station]:
    with Station() as station:
        yield station


class Handset:
    """A phone in a folder, as an app holds one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def open(self) -> beatbook.Beatbook:
        platform = beatbook.Platform(
            vault=beatbook.software_vault(str(self.folder / "vault")), signer=None, connectivity=None
        )
        config = beatbook.Config(folder=str(self.folder / "books"), device="test phone")
        return await beatbook.Beatbook.open(config, platform)

    async def enrolled(self, station: Station, name: str) -> beatbook.Session:
        book = await self.open()
        session = await book.add_user(name, PIN)
        order = beatbook.EnrolOrder(invitation=station.invite(name), address=station.url, trust=None)
        enrolled = await session.enrol(order)
        assert enrolled.user_name == name
        await beatbook.sync_now(session.sync())
        return session


@pytest.fixture
def handset(tmp_path: Path) -> Handset:
    return Handset(tmp_path / "phone")


@pytest.fixture
def other(tmp_path: Path) -> Handset:
    return Handset(tmp_path / "other")
