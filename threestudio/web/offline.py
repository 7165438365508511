"""Nothing is fetched from elsewhere, and nothing sent: the browser is told so, and Gradio's page is freed of links."""

import re
from typing import Any

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
)
OUTSIDE = re.compile(
    rb'<(?:link|meta|script)\b[^>]*(?:href|src|content)="https?://(?!127\.0\.0\.1|localhost)[^>]*>(?:</script>)?'
)


class Offline:
    """ASGI."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Cleaned(send))


class _Cleaned:
    """Of a page the links to elsewhere are taken out, which needs it whole; everything else passes as it comes."""

    def __init__(self, send: Any) -> None:
        self.send, self.body = send, b""
        self.start: dict[str, Any] | None = None  # of a page, held back until it is whole

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            headers += [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
            message = {**message, "headers": headers}
            if any(name.lower() == b"content-type" and b"text/html" in value for name, value in headers):
                self.start = message
                return
        elif self.start is not None and message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if message.get("more_body"):
                return
            await self._send_page(self.start)
            return
        await self.send(message)

    async def _send_page(self, start: dict[str, Any]) -> None:
        body = OUTSIDE.sub(b"", self.body)
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        await self.send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await self.send({"type": "http.response.body", "body": body})
