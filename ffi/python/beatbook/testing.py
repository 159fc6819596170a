"""A station for an app's own tests: the real `beatbook-server` program on this machine, with a chief, and whoever is invited.

The program is found by `BEATBOOK_SERVER`, or on the PATH. It keeps everything in one folder, which goes with it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import beatbook


class StationMissing(Exception):
    """The station's program is not on this machine."""


def _program() -> str:
    found = os.environ.get("BEATBOOK_SERVER") or shutil.which("beatbook-server")
    if not found or not Path(found).exists():
        raise StationMissing("beatbook-server is neither named by BEATBOOK_SERVER nor on the PATH")
    return found


class Station:
    """A station that serves until the block ends."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="beatbook-station-"))
        self._program = _program()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        places = ["--data", str(self._root / "data"), "--keys", str(self._root / "keys")]
        said = subprocess.run(
            [self._program, "init", *places, "--station", "测试派出所", "--unit", "测试社区", "--chief", "测试所长"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        self._token = next(line.split("token:", 1)[1].strip() for line in said.splitlines() if "token:" in line)
        self._places = places

    def __enter__(self) -> Station:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def start(self) -> None:
        """Serves, at the address of before if there was one."""
        address_file = self._root / "address"
        address_file.unlink(missing_ok=True)
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        log = open(self._root / "log", "ab")
        self._process = subprocess.Popen(
            [self._program, "serve", "--listen", listen, "--address-file", str(address_file), *self._places],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        until = time.monotonic() + 60
        while not (address_file.exists() and address_file.read_text().endswith("\n")):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the station did not start:\n" + (self._root / "log").read_text())
            time.sleep(0.02)
        self.url = address_file.read_text().strip()

    def stop(self) -> None:
        """Goes off the network."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def call(self, method: str, path: str, body: Any = None, version: str | None = None) -> Any:
        """Asks as the chief."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if version:
            headers["If-Match"] = f'"{version}"'
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
            text = reply.read().decode()
            return json.loads(text) if text else None

    def invite(self, name: str, role: str = "officer") -> str:
        """Adds a person, and gives the invitation that the chief's screen would show his phone."""
        user = self.call("POST", "/api/v1/users", {"name": name, "roles": [role]})["user"]
        return self.call("POST", f"/api/v1/users/{user}/enrolment-code", {})["invitation"]

    async def sample_data(self, households: int = 20) -> None:
        """Fills the station with households and a visit to each, written by a colleague's phone: something to list, search and sync."""
        folder = self._root / "colleague"
        vault = beatbook.software_vault(str(folder / "vault"))
        config = beatbook.Config(folder=str(folder / "books"), device="sample")
        book = await beatbook.Beatbook.open(config, beatbook.Platform(vault=vault, signer=None, connectivity=None))
        session = await book.add_user("样例", "518264")
        invitation = self.invite("样例", "grid_worker")
        await session.enrol(beatbook.EnrolOrder(invitation=invitation, address=self.url, trust=None))
        for number in range(1, households + 1):
            place = f"geo:{39.97 + number * 2e-4:.6f},{116.44 + number * 2e-4:.6f}"
            home = await _written(session, "household", address=f"样例路{number}号", place=place)
            await _written(session, "visit", household=home, outcome="done")
        outcome = await beatbook.sync_now(session.sync())
        await session.lock()
        if not outcome.complete:
            raise RuntimeError(f"the sample did not reach the station: {outcome.trouble}")


async def _written(session: beatbook.Session, kind: str, **fields: str) -> str:
    draft = await session.records().draft(kind, None)
    draft.edit.fields = {code: beatbook.FieldValue.TEXT(value) for code, value in fields.items()}
    return (await session.records().submit((await session.records().save(draft)).id, None)).record
