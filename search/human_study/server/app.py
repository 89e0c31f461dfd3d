"""The web app: its addresses, and the files and pages behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp

from search.human_study.manifest import Study, StudyError
from search.human_study.server.database import Database
from search.human_study.server.guard import Guard, RateLimits
from search.human_study.server.keys import Keys
from search.human_study.server.organiser import OrganiserPages
from search.human_study.server.participant import ParticipantPages
from search.human_study.server.session import Sessions

WEB = Path(__file__).with_name("web")
"""Folder of templates; its subfolder `static` is served as it is."""
LOCAL_HOSTS = ("127.0.0.1", "localhost")
"""Names of this machine in addresses of requests, unless the study is public."""


def read_study(folder: Path) -> Study:
    """The study in a folder. Raises StudyError unless it can be shown to people."""
    study = Study.read(folder)
    if len(study.conditions) < 2:
        raise StudyError(f"{folder}: has one condition; expected two or more to compare")
    for picture in study.pictures:
        if picture.catch is None:
            raise StudyError(f"{folder}: picture {picture.id} has no file for catch trials")
        places = (picture.original, picture.catch, *(each.file for each in picture.stimuli))
        for place in places:
            if not (folder / place).is_file():
                raise StudyError(f"{folder / place}: is missing; restore the folder from a copy")
    return study


def make_app(
    folder: Path,
    study: Study,
    database: Database,
    keys: Keys,
    comparisons: int,
    hosts: Sequence[str],
) -> ASGIApp:
    """The app of a study.

    Args:
        folder: Folder of the study.
        study: Its description, as `read_study` returns it.
        database: Its participants and answers.
        keys: Its secret.
        comparisons: Number of comparisons that each participant is asked for.
        hosts: Names of this server in addresses, `*` for any.
    """
    sessions = Sessions.of(study, database, keys, comparisons)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(WEB),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates = Jinja2Templates(env=environment)
    limits = RateLimits()
    participant = ParticipantPages(folder, sessions, templates, limits)
    organiser = OrganiserPages(folder, sessions, templates, limits)
    app = Starlette(
        routes=[
            *participant.routes(),
            *organiser.routes(),
            Route("/", lambda request: _message(templates, request, 200, "")),
            Mount("/static", StaticFiles(directory=WEB / "static")),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={
            HTTPException: lambda request, error: _error(templates, request, error)
        },
    )
    return Guard(app)


def _error(templates: Jinja2Templates, request: Request, error: Exception) -> Response:
    """A refusal as a page for people, and as JSON for scripts."""
    assert isinstance(error, HTTPException)
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return _message(templates, request, error.status_code, error.detail)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _message(templates: Jinja2Templates, request: Request, status: int, detail: str) -> Response:
    context = {"status": status, "detail": detail}
    return templates.TemplateResponse(request, "message.html.jinja", context, status_code=status)
