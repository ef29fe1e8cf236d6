"""The routes: each reads its question, calls one function in a thread, and writes the answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from dawnchorus.configs import Config
from dawnchorus.errors import (
    AudioError,
    DawnChorusError,
    DependencyError,
    StoreError,
    UsageError,
    shortened,
)
from dawnchorus.paths import cache_folder
from dawnchorus.serve import facts, overview, points
from dawnchorus.serve.bodies import (
    MOST_ITEMS,
    Changes,
    DroppedClip,
    ErrorBody,
    JobQuery,
    Judgements,
    ListQuery,
    Saved,
)
from dawnchorus.serve.guard import Guard
from dawnchorus.serve.library import NotThereError
from dawnchorus.serve.lists import progress_of
from dawnchorus.serve.picture_cache import PictureCache
from dawnchorus.serve.sounds import (
    HEIGHT,
    WIDTH,
    Cut,
    Ear,
    Look,
    picture,
    picture_key,
    sound,
    top_hz,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from dawnchorus.serve.guard import Door
    from dawnchorus.serve.session import Session

B = TypeVar("B", bound=Config)
THREADS: Final = 8  # of everything that computes; decoding a file on a slow disk waits, mostly
DECODERS: Final = 4  # of pictures and sound, so that a grid never keeps a judgement waiting
STATUS: Final = (
    (NotThereError, 404), (AudioError, 422), (DependencyError, 501), (UsageError, 422),
    # another program writes there, the disk is full: the page keeps what it has, and asks again
    (StoreError, 503),
)  # fmt: skip
NO_PAGE: Final = """<!doctype html><title>dawnchorus</title>
<p>The built page is missing. In a checkout: <code>cd web && npm ci && npm run build</code>.</p>"""
A_DAY: Final = "private, max-age=86400"


@dataclass
class Routes:
    """The routes of one session.

    Attributes:
        session: that they ask.
        pictures: that were drawn before.
    """

    session: Session
    pictures: PictureCache

    def __post_init__(self) -> None:
        """Threads are made when they are needed."""
        self._threads: CapacityLimiter | None = None
        self._decoders: CapacityLimiter | None = None

    async def _run(self, call: Callable[[], Any], *, decodes: bool = False) -> Any:
        if self._threads is None or self._decoders is None:
            self._threads, self._decoders = CapacityLimiter(THREADS), CapacityLimiter(DECODERS)
        limiter = self._decoders if decodes else self._threads
        return await to_thread.run_sync(call, limiter=limiter)

    async def about(self, _request: Request) -> Response:
        """``GET /api/about``."""
        return answer(await self._run(partial(facts.about, self.session)))

    async def make_list(self, request: Request) -> Response:
        """``POST /api/lists``."""
        query = await body(request, ListQuery)
        return answer(await self._run(partial(self.session.lists.make, query)))

    async def more_of_list(self, request: Request) -> Response:
        """``GET /api/lists/{id}``."""
        asked = Asked(request)
        offset, limit = asked.whole("offset", 0), asked.whole("limit", 24)
        page = partial(
            self.session.lists.page, request.path_params["id"], offset, min(limit, MOST_ITEMS)
        )
        return answer(await self._run(page))

    async def judge(self, request: Request) -> Response:
        """``POST /api/judgements``: when this answers, all of them are on the disk."""
        judgements = await body(request, Judgements)
        return answer(await self._run(partial(self._saved, judgements)))

    def _saved(self, judgements: Judgements) -> Saved:
        keys = self.session.writer.save(judgements)
        return Saved(
            keys=keys,
            progress=self._progress(judgements.list_id),
            cursor=self.session.live.cursor,
        )

    def _progress(self, list_id: str | None) -> Any:
        if not list_id:
            return None
        try:
            return progress_of(self.session, self.session.lists.get(list_id))
        except NotThereError:  # what was judged counts, whatever became of the list
            return None

    async def changes(self, request: Request) -> Response:
        """``GET /api/changes``."""
        asked = Asked(request)
        return answer(
            await self._run(partial(self._changes, asked.text("cursor"), asked.text("list")))
        )

    def _changes(self, cursor: str, list_id: str) -> Changes:
        after, judged = facts.changes(self.session, cursor)
        return Changes(cursor=after, judged=judged, progress=self._progress(list_id))

    async def clip(self, request: Request) -> Response:
        """``POST /api/clips``."""
        clip = await body(request, DroppedClip)
        return answer(await self._run(partial(self.session.clips.add, clip), decodes=True))

    async def recording(self, request: Request) -> Response:
        """``GET /api/recordings/{id}``."""
        name = request.path_params["id"]
        return answer(await self._run(partial(facts.recording, self.session, name)))

    async def recording_scores(self, request: Request) -> Response:
        """``GET /api/recordings/{id}/scores``."""
        asked, name = Asked(request), request.path_params["id"]
        track = partial(
            facts.score_track, self.session, name, asked.text("label"), asked.text("probe") or None
        )
        return answer(await self._run(track))

    async def picture(self, request: Request) -> Response:
        """``GET /api/picture``."""
        asked = Asked(request)
        cut = asked.cut(self.session)
        look = Look(
            width=asked.whole("width", WIDTH),
            height=asked.whole("height", HEIGHT),
            low_hz=asked.number("low_hz"),
            high_hz=asked.number("high_hz"),
        )
        headers = {
            "ETag": f'"{picture_key(cut, look)}"',
            "Cache-Control": A_DAY,
            "X-High-Hz": f"{top_hz(self.session.library, cut.recording, look):g}",
        }
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        draw = partial(picture, self.session.library, self.pictures, cut, look)
        content = await self._run(draw, decodes=True)
        return Response(content, media_type="image/png", headers=headers)

    async def begin_job(self, request: Request) -> Response:
        """``POST /api/jobs``."""
        query = await body(request, JobQuery)
        return answer(await self._run(partial(self.session.jobs.begin, query)))

    async def job(self, request: Request) -> Response:
        """``GET /api/jobs/{id}``."""
        return answer(self.session.jobs.get(request.path_params["id"]))

    async def map_points(self, _request: Request) -> Response:
        """``GET /api/map/points``."""
        content = await self._run(partial(points.map_points, self.session))
        return Response(content, media_type="application/octet-stream")

    async def map_colours(self, request: Request) -> Response:
        """``GET /api/map/colours``."""
        asked = Asked(request)
        colour = partial(
            points.map_colours, self.session, asked.text("by"), asked.text("label") or None
        )
        content, meaning = await self._run(colour)
        headers = {"X-Colours": quote(meaning.model_dump_json())}
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def map_item(self, request: Request) -> Response:
        """``GET /api/map/item``."""
        row = Asked(request).whole("row", 0)
        return answer(await self._run(partial(points.map_item, self.session, row)))

    async def overview(self, _request: Request) -> Response:
        """``GET /api/overview``."""
        return answer(await self._run(partial(overview.overview, self.session)))

    async def export(self, request: Request) -> Response:
        """``GET /api/export``."""
        asked = Asked(request)
        write = partial(
            overview.export, self.session, asked.text("format"), asked.text("label") or None
        )
        name, content, command = await self._run(write)
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "X-Command": quote(command, safe=" /-_.=,:"),
        }
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def sound(self, request: Request) -> Response:
        """``GET /api/sound``."""
        asked = Asked(request)
        cut = asked.cut(self.session)
        ear = Ear(
            low_hz=asked.number("low_hz"),
            high_hz=asked.number("high_hz"),
            slow=asked.number("slow") or 1.0,
            gain_db=asked.number("gain_db") or 0.0,
        )
        content = await self._run(partial(sound, self.session.library, cut, ear), decodes=True)
        return ranged(request, content, "audio/wav")


class Asked:
    """The query of an address, read strictly."""

    def __init__(self, request: Request) -> None:
        """Read nothing yet."""
        self._values = request.query_params

    def text(self, name: str) -> str:
        """A text; empty where there is none."""
        return str(self._values.get(name, ""))

    def number(self, name: str) -> float | None:
        """A finite number; None where there is none.

        Raises:
            UsageError: It is none.
        """
        text = self.text(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError as error:
            raise UsageError(f"{name}: need a number, got {shortened(text, 40)!r}") from error
        if not abs(value) < 1e12:
            raise UsageError(f"{name}: need a number, got {shortened(text, 40)!r}")
        return value

    def needed(self, name: str) -> float:
        """A number that must be there.

        Raises:
            UsageError: It is not.
        """
        value = self.number(name)
        if value is None:
            raise UsageError(f"{name}: is missing")
        return value

    def whole(self, name: str, default: int) -> int:
        """A whole number from 0.

        Raises:
            UsageError: It is none.
        """
        value = self.number(name)
        if value is None:
            return default
        if value < 0 or value != int(value):
            raise UsageError(f"{name}: need a whole number from 0, got {value:g}")
        return int(value)

    def cut(self, session: Session) -> Cut:
        """The span of a recording.

        Raises:
            NotThereError: There is no such recording.
            UsageError: It is no span.
        """
        recording = session.library.recording(self.text("recording"))
        return Cut(recording, self.needed("start"), self.needed("stop"))


async def body(request: Request, kind: type[B]) -> B:
    """The question of a request.

    Raises:
        UsageError: It is not JSON, or not of this form.
    """
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        places = [
            f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in problems[:5]
        ]
        raise UsageError(f"{kind.__name__}: {'; '.join(places)}") from error


def answer(value: Config, status: int = 200) -> Response:
    """A body as JSON."""
    return Response(value.model_dump_json(), status, media_type="application/json")


def ranged(request: Request, content: bytes, kind: str) -> Response:
    """Bytes, or the range of them that is asked for; browsers seek in sound so."""
    headers = {"Accept-Ranges": "bytes"}
    asked = request.headers.get("range", "")
    if not asked:
        return Response(content, media_type=kind, headers=headers)
    first, stop = _range(asked, len(content))
    if first >= stop:
        headers["Content-Range"] = f"bytes */{len(content)}"
        return Response(status_code=416, headers=headers)
    headers["Content-Range"] = f"bytes {first}-{stop - 1}/{len(content)}"
    return Response(content[first:stop], 206, media_type=kind, headers=headers)


def _range(text: str, n_bytes: int) -> tuple[int, int]:
    """First byte and the one behind the last; (0, 0): it cannot be given."""
    unit, _, span = text.partition("=")
    begin, sign, end = span.strip().partition("-")
    if unit.strip() != "bytes" or not sign or not (begin + end).isdecimal() or len(text) > 64:
        return 0, 0
    if not begin:  # the last bytes
        return max(0, n_bytes - int(end)), n_bytes
    return int(begin), min(n_bytes, int(end) + 1 if end else n_bytes)


def make_app(session: Session, door: Door, pictures: PictureCache | None = None) -> ASGIApp:
    """The whole server as an ASGI app, behind its door.

    Args:
        session: what it shows.
        door: who may come in.
        pictures: that were drawn before. None: kept in the user's cache folder.
    """
    routes = Routes(session, pictures or PictureCache(cache_folder() / "pictures"))
    static = files("dawnchorus.serve") / "static"
    listed = [
        Route("/", partial(page, static)),
        Route("/static/{name}", partial(static_file, static)),
        Route("/api/about", routes.about),
        Route("/api/lists", routes.make_list, methods=["POST"]),
        Route("/api/lists/{id}", routes.more_of_list),
        Route("/api/judgements", routes.judge, methods=["POST"]),
        Route("/api/changes", routes.changes),
        Route("/api/clips", routes.clip, methods=["POST"]),
        Route("/api/recordings/{id}", routes.recording),
        Route("/api/recordings/{id}/scores", routes.recording_scores),
        Route("/api/jobs", routes.begin_job, methods=["POST"]),
        Route("/api/jobs/{id}", routes.job),
        Route("/api/map/points", routes.map_points),
        Route("/api/map/colours", routes.map_colours),
        Route("/api/map/item", routes.map_item),
        Route("/api/overview", routes.overview),
        Route("/api/export", routes.export),
        Route("/api/picture", routes.picture),
        Route("/api/sound", routes.sound),
    ]
    return Guard(Starlette(routes=listed, exception_handlers=HANDLERS), door)


async def page(static: Any, _request: Request) -> Response:
    """``GET /``: the built page."""
    built = static / "index.html"
    return FileResponse(str(built)) if built.is_file() else HTMLResponse(NO_PAGE)


async def static_file(static: Any, request: Request) -> Response:
    """``GET /static/{name}``: one of the files that were built, and nothing else."""
    name = request.path_params["name"]
    built = {one.name: one for one in static.iterdir()} if static.is_dir() else {}
    if name not in built or not built[name].is_file():
        return answer(ErrorBody(error="there is no such file"), 404)
    # another version of the page must not run with an old script
    return FileResponse(str(built[name]), headers={"Cache-Control": "no-cache"})


async def _known_error(_request: Request, error: Exception) -> Response:
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 409)
    return answer(ErrorBody(error=str(error)), status)


async def _http_error(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    return answer(ErrorBody(error=str(getattr(error, "detail", error))), status)


async def _unknown_error(_request: Request, error: Exception) -> Response:
    # what it was stands in the log of the terminal; a page is told that it was not its fault
    text = f"The server failed at this ({type(error).__name__}); the terminal shows where."
    return JSONResponse({"error": text}, 500)


HANDLERS: Final[dict[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    DawnChorusError: _known_error,
    HTTPException: _http_error,
    Exception: _unknown_error,
}
