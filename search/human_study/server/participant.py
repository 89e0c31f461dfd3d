"""The pages of participants: joining, the session, its pictures, and the answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from search.human_study.server.guard import (
    JOINING,
    PER_PARTICIPANT,
    WRONG_LINKS,
    RateLimits,
    address_of,
    check_origin,
)
from search.human_study.server.plates import KINDS, plate
from search.human_study.server.schedule import BLOCK
from search.human_study.server.session import Sessions, State, UnknownTrial

PICTURE_HEADERS = {"Cache-Control": "private, max-age=3600, immutable"}
"""The name of a picture belongs to one trial, so that its content never changes."""
Text = Annotated[str, Field(max_length=8)]


class _Report(BaseModel):
    """What a page sends."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Joining(_Report):
    """Nothing but the wish to take part."""


class ScreenReport(_Report):
    """The participant's screen."""

    pixel_ratio: Annotated[float, Field(ge=0.25, le=10, strict=False)]
    """Device pixels per CSS pixel."""
    fits: Annotated[int, Field(ge=0, le=2)]
    """Number of pictures that fit side by side."""


class PlatesReport(_Report):
    """The numbers that the participant read on the plates; empty where none was seen."""

    read: Annotated[list[Text], Field(min_length=len(KINDS), max_length=len(KINDS))]


class AnswerReport(_Report):
    """The answer to a trial."""

    trial: Annotated[str, Field(max_length=64)]
    choice: Literal["left", "right"]
    response_ms: Annotated[int, Field(ge=0, le=86_400_000)]


Report = TypeVar("Report", bound=_Report)


@dataclass(frozen=True)
class ParticipantPages:
    """Handlers of the requests of participants."""

    folder: Path
    """Folder of the study."""
    sessions: Sessions
    templates: Jinja2Templates
    limits: RateLimits

    def routes(self) -> list[Route]:
        """The addresses. All but static files begin with a token that cannot be guessed."""
        return [
            Route("/join/{token}", self.invitation),
            Route("/join/{token}", self.join, methods=["POST"]),
            Route("/p/{token}", self.page),
            Route("/p/{token}/state", self.state),
            Route("/p/{token}/screen", self.screen, methods=["POST"]),
            Route("/p/{token}/plates", self.plates, methods=["POST"]),
            Route("/p/{token}/answer", self.answer, methods=["POST"]),
            Route("/p/{token}/picture/{name}.png", self.picture),
            Route("/p/{token}/plate/{name}.png", self.plate_picture),
        ]

    async def invitation(self, request: Request) -> Response:
        """The page on which a person decides to take part."""
        return self._page(request, "join.html.jinja", self._invited(request))

    async def join(self, request: Request) -> Response:
        """Add a participant, and tell the link."""
        await self._read(request, self._invited(request), Joining)
        self.limits.count(JOINING, f"join {address_of(request)}")
        token = await run_in_threadpool(self.sessions.join)
        return JSONResponse({"link": f"/p/{token}"})

    async def page(self, request: Request) -> Response:
        """The page of a session."""
        await self._participant(request)
        return self._page(request, "session.html.jinja", request.path_params["token"])

    async def state(self, request: Request) -> Response:
        """What the participant sees now, as JSON."""
        participant = await self._participant(request)
        return JSONResponse(await run_in_threadpool(self.sessions.state, participant))

    async def screen(self, request: Request) -> Response:
        """Record the check of the screen."""
        return await self._change(
            request,
            ScreenReport,
            lambda id, report: self.sessions.check_screen(id, report.pixel_ratio, report.fits),
        )

    async def plates(self, request: Request) -> Response:
        """Record what was read on the plates."""
        return await self._change(
            request, PlatesReport, lambda id, report: self.sessions.check_plates(id, report.read)
        )

    async def answer(self, request: Request) -> Response:
        """Record the answer to a trial."""
        return await self._change(
            request,
            AnswerReport,
            lambda id, report: self.sessions.answer(
                id, report.trial, report.choice == "left", report.response_ms
            ),
        )

    async def picture(self, request: Request) -> Response:
        """A picture of the pending trial."""
        participant = await self._participant(request)
        return await run_in_threadpool(self._picture, participant, str(request.path_params["name"]))

    async def plate_picture(self, request: Request) -> Response:
        """A plate of the check of the screen and of colour vision."""
        participant = await self._participant(request)
        name = str(request.path_params["name"])
        shown = await run_in_threadpool(self.sessions.plate_shown, participant, name)
        if shown is None:
            raise HTTPException(404, "there is no such picture")
        data = await run_in_threadpool(plate, *shown)
        return Response(data, media_type="image/png", headers=PICTURE_HEADERS)

    def _picture(self, participant: int, name: str) -> Response:
        place = self.sessions.picture_file(participant, name)
        if place is None:
            raise HTTPException(404, "there is no such picture")
        data = (self.folder / place).read_bytes()
        return Response(data, media_type="image/png", headers=PICTURE_HEADERS)

    def _page(self, request: Request, template: str, token: str) -> Response:
        size = self.sessions.study.device_pixel
        context = {
            "csrf": self.sessions.keys.csrf(token),
            "total": self.sessions.comparisons + self.sessions.comparisons // BLOCK,
            "width": size.width,
            "height": size.height,
        }
        return self.templates.TemplateResponse(request, template, context)

    async def _change(
        self, request: Request, kind: type[Report], apply: Callable[[int, Report], State]
    ) -> Response:
        """Apply the report in a request, and answer with the next state."""
        participant = await self._participant(request)
        report = await self._read(request, str(request.path_params["token"]), kind)
        try:
            return JSONResponse(await run_in_threadpool(apply, participant, report))
        except UnknownTrial as error:
            raise HTTPException(404, "this link has no such comparison") from error

    async def _read(self, request: Request, token: str, kind: type[Report]) -> Report:
        """The report in a request of a page of the link `token`. Raises HTTPException."""
        check_origin(request)
        sent = request.headers.get("x-csrf-token", "").encode()
        if not secrets.compare_digest(sent, self.sessions.keys.csrf(token).encode()):
            raise HTTPException(403, "the page is out of date; load it again")
        if request.headers.get("content-type") != "application/json":
            raise HTTPException(415, "expected JSON")
        try:
            return kind.model_validate_json(await request.body())
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "request"
            raise HTTPException(422, f"{place}: {first['msg']}") from error

    async def _participant(self, request: Request) -> int:
        """The id of the participant whose link was used. Raises HTTPException."""
        token = str(request.path_params["token"])
        participant = self.sessions.known(token)
        if participant is None:
            participant = await run_in_threadpool(self.sessions.find, token)
        if participant is None:
            self.limits.count(WRONG_LINKS, f"wrong {address_of(request)}")
            raise HTTPException(404, "nobody has this link; check that it is complete")
        self.limits.count(PER_PARTICIPANT, f"participant {participant}")
        return participant

    def _invited(self, request: Request) -> str:
        """The token of the invitation, if the request has it. Raises HTTPException."""
        token = str(request.path_params["token"])
        invitation = self.sessions.keys.invitation()
        if not secrets.compare_digest(token.encode(), invitation.encode()):
            self.limits.count(WRONG_LINKS, f"wrong {address_of(request)}")
            raise HTTPException(404, "there is no such invitation; check that the link is complete")
        return token
