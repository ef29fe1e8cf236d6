"""A browser that has the cookie of a server, and recordings that are there."""

from __future__ import annotations

import numpy as np
from starlette.testclient import TestClient

from dawnchorus.serve.app import make_app
from dawnchorus.serve.guard import Door
from dawnchorus.serve.picture_cache import PictureCache
from dawnchorus.serve.session import Session

RATE = 8_000
BASE = "http://127.0.0.1:8765"
# the group of each window; a window is a second
RECORDINGS = {
    "north/a.wav": [0, 0, 0, 1, 1, 2],
    "north/b.wav": [1, 1, 1, 1, 2, 2],
    "south/c.wav": [2, 2, 0, 0, 1, -1],
    "south/gone.wav": [0, 1, 2, 0],
}


def sound_of(name: str, n_s: int) -> np.ndarray:
    draws = np.random.default_rng(len(name) + n_s)
    time_s = np.arange(n_s * RATE) / RATE
    return (0.3 * np.sin(2 * np.pi * 1_000 * time_s) + draws.normal(0, 0.02, len(time_s))).astype(
        "f4"
    )


class Browser(TestClient):
    """A browser on this machine that has opened the printed address."""

    def __init__(self, session: Session, door: Door | None = None) -> None:
        self.door = door or Door(read_only=session.read_only)
        cache = PictureCache(session.live.folder.parent / "cache")
        super().__init__(
            make_app(session, self.door, cache), base_url=BASE, raise_server_exceptions=False
        )

    def enter(self) -> Browser:
        answer = self.get(f"/?token={self.door.token}", follow_redirects=False)
        assert answer.status_code == 303
        return self

    def write(self, route: str, **body: object):
        return self.post(route, json=body, headers={"origin": BASE})

    def list(self, **query: object) -> dict:
        answer = self.write("/api/lists", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()
