"""The organiser's page: progress, live ranking and all answers, behind a link of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from search.human_study.answers import read_answers
from search.human_study.server.guard import WRONG_LINKS, RateLimits, address_of
from search.human_study.server.progress import progress
from search.human_study.server.session import Sessions


@dataclass(frozen=True)
class OrganiserPages:
    """Handlers of the requests of the organiser."""

    folder: Path
    """Folder of the study."""
    sessions: Sessions
    templates: Jinja2Templates
    limits: RateLimits

    def routes(self) -> list[Route]:
        """The addresses, all with the organiser's token."""
        return [
            Route("/organiser/{token}", self.page),
            Route("/organiser/{token}/progress", self.progress),
            Route("/organiser/{token}/answers.csv", self.answers),
        ]

    async def page(self, request: Request) -> Response:
        """The page, which asks for `progress` every few seconds."""
        self._check(request)
        context = {
            "study": self.sessions.study,
            "invitation": f"/join/{self.sessions.keys.invitation()}",
        }
        return self.templates.TemplateResponse(request, "organiser.html.jinja", context)

    async def progress(self, request: Request) -> Response:
        """Progress and ranking as JSON."""
        self._check(request)
        return JSONResponse(await run_in_threadpool(progress, self.sessions))

    async def answers(self, request: Request) -> Response:
        """All answers as a file."""
        self._check(request)
        table = await run_in_threadpool(read_answers, self.folder)
        headers = {"Content-Disposition": 'attachment; filename="answers.csv"'}
        return Response(
            table.to_csv(index=False), media_type="text/csv; charset=utf-8", headers=headers
        )

    def _check(self, request: Request) -> None:
        """Raise HTTPException unless the request has the organiser's token."""
        token, expected = str(request.path_params["token"]), self.sessions.keys.organiser()
        if not secrets.compare_digest(token.encode(), expected.encode()):
            self.limits.count(WRONG_LINKS, f"wrong {address_of(request)}")
            raise HTTPException(404, "there is no such page; check that the link is complete")
