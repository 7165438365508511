"""How the page looks: system fonts, the scripts and the style sheet of this package, two colour schemes."""

from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import FileResponse

HERE = Path(__file__).parent
SCRIPTS = ("viewer.js", "page.js")
STYLE = HERE / "page.css"
HEAD = "".join(f'<script defer src="/static/{name}"></script>' for name in SCRIPTS)
TITLE = "Cascade-Zero123"
HEADER = f"<header><h1>{TITLE}</h1><p>One picture in, one textured mesh out. On this machine alone.</p></header>"
EMPTY = (
    '<article class="job empty"><div class="stage"><p class="quiet">Drop a picture of one object: '
    "a PNG with transparency, or a photograph on a plain background.</p></div></article>"
)
FOOTER = '<footer>Everything stays on this machine. <a href="/docs">The same over HTTP</a></footer>'
LINKS = tuple(f"link_text_color{state}" for state in ("", "_active", "_hover", "_visited"))
ACCENTED = ("button_primary_background_fill", "button_primary_background_fill_hover", "slider_color", *LINKS)


def serve_scripts(application: FastAPI) -> None:
    @application.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> FileResponse:
        return FileResponse(HERE / SCRIPTS[SCRIPTS.index(name)] if name in SCRIPTS else HERE / SCRIPTS[0])


def theme() -> gr.themes.Base:
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
    base = gr.themes.Base(neutral_hue="gray", radius_size="lg", font=fonts, font_mono=["ui-monospace", "monospace"])
    light = {name: "#0b6b74" for name in ACCENTED}
    dark = {f"{name}_dark": "#2b8d96" for name in ACCENTED}
    cards = {
        "block_background_fill": "#ffffff",
        "block_background_fill_dark": "#1b2023",
        "block_border_color_dark": "#2c3438",
    }
    return base.set(
        **light, **dark, **cards, button_primary_text_color="#ffffff", button_primary_text_color_dark="#ffffff"
    )
