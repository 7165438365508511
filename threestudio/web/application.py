"""The one process: the HTTP interface, the page on top of it, and what keeps strangers out."""

from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from threestudio.web import api
from threestudio.web.access import Access
from threestudio.web.docs_page import docs_page
from threestudio.web.limits import BodyLimit
from threestudio.web.studio import Studio

EXAMPLE = api.__doc__.partition("\n\n")[2]


def make_application(studio: Studio, token: str | None = None, page: bool = True) -> FastAPI:
    application = api.make_api(studio)

    @application.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(application.openapi(), EXAMPLE))

    if page:
        application = with_page(application, studio)
    application.add_middleware(BodyLimit)
    application.add_middleware(Access, token=token)
    return application


def with_page(application: FastAPI, studio: Studio) -> Any:
    """Gradio takes seconds to import: only where its page is wanted."""
    from threestudio.web.page import mounted

    return mounted(application, studio)
