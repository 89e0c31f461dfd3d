"""What every request meets before it is answered: limits of size and rate, and safe headers."""

from __future__ import annotations

import json

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY_BYTES = 4096
PER_PARTICIPANT = RateLimitItemPerMinute(600)
"""Requests with one participant's link. A comparison takes four, so that this is above 2 per s."""
WRONG_LINKS = RateLimitItemPerMinute(30)
"""Requests from one address with links that nobody has."""
JOINING = RateLimitItemPerMinute(60)
"""Participants who join from one address, which a school or a company may share."""
TOO_LARGE = f"the request is larger than {MOST_BODY_BYTES} bytes"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


class Guard:
    """ASGI app around another one that bounds bodies and adds HEADERS to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MOST_BODY_BYTES:
                raise HTTPException(413, TOO_LARGE)
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            await _refuse(with_headers)
            return
        await self._app(scope, bounded, with_headers)


async def _refuse(send: Send) -> None:
    """Answer 413, and close the connection without reading the rest."""
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    body = json.dumps({"error": TOO_LARGE}).encode()
    await send({"type": "http.response.body", "body": body})


class RateLimits:
    """Counts requests in memory, by participant or by address."""

    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, limit: RateLimitItem, key: str) -> None:
        """Count a request. Raises HTTPException 429 if there were too many in the last minute."""
        if not self._limiter.hit(limit, key):
            raise HTTPException(
                429, "too many requests; try again in a minute", {"Retry-After": "60"}
            )


def check_origin(request: Request) -> None:
    """Raise HTTPException 403 unless a page of this server sent the request."""
    host = request.headers.get("host")
    if request.headers.get("origin") not in (f"http://{host}", f"https://{host}"):
        raise HTTPException(403, "the request does not come from a page of this study")


def address_of(request: Request) -> str:
    """The address that a request comes from, which is used for limits and never stored."""
    return request.client.host if request.client else ""
