"""The page: a picture in, a job watched, a mesh out. Gradio carries it; what it shows of jobs is HTML of panels.py.

Nothing in it comes from outside: system fonts, scripts of this package, no analytics (offline.py sees to it).
"""

import gradio as gr
from fastapi import FastAPI

from threestudio.web.appearance import FOOTER, HEAD, HEADER, STYLE, TITLE, serve_scripts, theme
from threestudio.web.limits import MOST_BYTES
from threestudio.web.making import Making
from threestudio.web.offline import Offline
from threestudio.web.studio import Studio
from threestudio.web.watching import Watching


def mounted(application: FastAPI, studio: Studio) -> FastAPI:
    """On /; the HTTP interface keeps its own addresses."""
    serve_scripts(application)
    options = {"footer_links": [], "ssr_mode": False, "max_file_size": MOST_BYTES, "run_history": False}
    look = {"theme": theme(), "css_paths": [STYLE], "head": HEAD, "favicon_path": None}
    application = gr.mount_gradio_app(application, blocks(studio), path="/", **options, **look)
    application.add_middleware(Offline)
    return application


def blocks(studio: Studio) -> gr.Blocks:
    """What a picture is asked about beside what becomes of it; below each other on a phone."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(HEADER)
        with gr.Row(elem_classes="columns"):
            with gr.Column(elem_classes="making-column", min_width=320):
                making = Making(studio)
            with gr.Column(elem_classes="watching-column", min_width=320):
                watching = Watching(studio)
        gr.HTML(FOOTER)
        making.wire()
        watching.wire(page, making)
    return page
