"""Who may use the server: everybody on this machine, through its loopback address; others by a token.

A page of another site that is open in the same browser may not: without a token a request has to name this machine as
its host, and one that changes something must not come from a page of another origin.
"""

import hmac
import ipaddress
import os
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from threestudio.errors import UserError
from threestudio.web.limits import refuse

VARIABLE, COOKIE = "CASCADE_TOKEN", "cascade_token"
SHORTEST_TOKEN = 16  # characters
SAFE = ("GET", "HEAD", "OPTIONS")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def token_for(host: str) -> str | None:
    """Of the environment; UserError where `host` is open to others and there is none."""
    token = os.environ.get(VARIABLE) or None
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise UserError(f"{VARIABLE}: {len(token)} characters; at least {SHORTEST_TOKEN} are needed")
    if token is None and not is_loopback(host):
        raise UserError(f"--host {host}: others could use it; set the variable {VARIABLE} to a token first")
    return token


class Access:
    """ASGI, for HTTP and WebSockets alike."""

    def __init__(self, app: Any, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        reason = self._stranger(headers) if self.token is None else self._without_token(headers, scope)
        if reason is None:
            reason = self._from_elsewhere(headers, scope)
        if reason is None:
            await self._admit(scope, receive, send)
        elif scope["type"] == "http":
            await refuse(send, *reason)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _admit(self, scope: Any, receive: Any, send: Any) -> None:
        """A token in the address is kept as a cookie, and taken out of the address."""
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        if self.token is None or scope["type"] != "http" or "token" not in query:
            await self.app(scope, receive, send)
            return
        del query["token"]
        place = scope["path"] + (f"?{urlencode(query)}" if query else "")
        cookie = f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", place.encode()), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _without_token(self, headers: dict[str, str], scope: Any) -> tuple[int, str] | None:
        if any(self._is_token(given) for given in given_tokens(headers, scope)):
            return None
        return 401, f"a token is needed: Authorization: Bearer <{VARIABLE}>, or ?token= in the page's address"

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())

    @staticmethod
    def _stranger(headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "").rpartition("@")[2]
        name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
        return None if is_loopback(name) else (403, "this server answers to its loopback address alone")

    @staticmethod
    def _from_elsewhere(headers: dict[str, str], scope: Any) -> tuple[int, str] | None:
        origin = headers.get("origin")
        safe = scope["type"] == "http" and scope["method"] in SAFE
        if safe or origin is None or origin.partition("://")[2] == headers.get("host"):
            return None
        return 403, "from a page of another origin"


def given_tokens(headers: dict[str, str], scope: Any) -> list[str]:
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        cookies = SimpleCookie()
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
    found = [bearer if kind.lower() == "bearer" else "", query.get("token", "")]
    return [*found, cookies[COOKIE].value if COOKIE in cookies else ""]
