"""The page: a picture in, a job watched, a mesh out. Gradio carries it; what it shows of jobs is HTML of panels.py.

Nothing in it comes from outside: system fonts, scripts of this package, no analytics (offline.py sees to it).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from fastapi import FastAPI
from fastapi.responses import FileResponse

from threestudio.errors import UserError
from threestudio.web import drafts, panels
from threestudio.web.drawing import scene
from threestudio.web.jobs import State
from threestudio.web.limits import MOST_BYTES
from threestudio.web.offline import Offline
from threestudio.web.studio import Studio

HERE = Path(__file__).parent
SCRIPTS = ("viewer.js", "page.js")
HEAD = "".join(f'<script defer src="/static/{name}"></script>' for name in SCRIPTS)
TITLE = "Cascade-Zero123"
KEEP, REMOVE = "#16a34a", "#dc2626"
KEEP_RGB = (22, 163, 74)
LOOKS_EVERY = 2.0  # seconds
MOST_STEPS, LARGEST_SEED = 2000, 2**31 - 1
ACCENTED = ("button_primary_background_fill", "button_primary_background_fill_hover", "slider_color")
EXPORTS = {"GLB, OBJ, STL and PLY": "glb+obj+stl+ply", "GLB alone": "glb", "OBJ alone": "obj-mtl"}


@dataclass(frozen=True)
class Parts:
    """The components that events read or change."""

    file: Any
    preview: Any
    notes: Any
    mask: Any
    editor: Any
    elevation: Any
    found: Any
    config: Any
    steps: Any
    seed: Any
    cost: Any
    start: Any
    job: Any
    stop: Any
    resume: Any
    result: Any
    again: Any
    jobs: Any
    draft: Any
    chosen: Any
    shown: Any


def mounted(application: FastAPI, studio: Studio) -> FastAPI:
    """On /; the HTTP interface keeps its own addresses."""

    @application.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> FileResponse:
        return FileResponse(HERE / SCRIPTS[SCRIPTS.index(name)] if name in SCRIPTS else HERE / SCRIPTS[0])

    page = Page(studio).blocks()
    options = {"footer_links": [], "ssr_mode": False, "max_file_size": MOST_BYTES, "run_history": False}
    look = {"theme": theme(), "css_paths": [HERE / "page.css"], "head": HEAD, "favicon_path": None}
    application = gr.mount_gradio_app(application, page, path="/", **options, **look)
    application.add_middleware(Offline)
    return application


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


class Page:
    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.configs = studio.runs.offered()

    def blocks(self) -> gr.Blocks:
        with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
            gr.HTML(
                f"<header><h1>{TITLE}</h1><p>One picture in, one textured mesh out. On this machine alone.</p></header>"
            )
            with gr.Row(elem_classes="columns"):
                with gr.Column(elem_classes="making-column", min_width=320):
                    making = self.making()
                with gr.Column(elem_classes="watching-column", min_width=320):
                    watching = self.watching()
            gr.HTML(FOOTER)
            self.wire(page, Parts(**making, **watching))
        return page

    def making(self) -> dict[str, Any]:
        """What a picture is asked about before it becomes a job."""
        default = self.studio.runs.checked(self.configs[0], [])
        file = gr.File(label="Drop a picture", file_types=["image", ".heic", ".heif"], type="filepath", elem_id="drop")
        preview = gr.HTML(elem_id="preview", visible=False)
        notes = gr.HTML(elem_id="notes")
        with gr.Group(visible=False, elem_id="making") as group:
            elevation = gr.Slider(-30, 80, 10, step=1, label="From how high, in degrees", elem_id="elevation")
            found = gr.HTML(elem_id="found")
            steps = gr.Slider(20, MOST_STEPS, default.trainer.max_steps, step=20, label="Steps")
            with gr.Row():
                config = gr.Dropdown(
                    self.configs, value=self.configs[0], label="Method", filterable=False, scale=2, min_width=150
                )
                seed = gr.Number(default.seed, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED, min_width=90)
        with gr.Accordion("Is the mask wrong?", open=False, visible=False, elem_id="mask") as mask:
            gr.HTML("<p class='quiet'>Green keeps, red removes.</p>")
            brush = gr.Brush(default_size=24, colors=[KEEP, REMOVE], default_color=KEEP, color_mode="fixed")
            editor = gr.ImageEditor(
                show_label=False, brush=brush, sources=(), transforms=(), layers=False, type="numpy", elem_id="editor"
            )
            with gr.Row():
                self.redraw = gr.Button("Take the brushed mask", size="sm", elem_id="redraw")
                self.invert = gr.Button("Turn the mask around", size="sm", elem_id="invert")
        cost = gr.HTML(elem_id="cost")
        start = gr.Button("Make the mesh", variant="primary", interactive=False, elem_id="start")
        self.group = group
        return {
            **{"file": file, "preview": preview, "notes": notes, "mask": mask, "editor": editor, "found": found},
            **{"elevation": elevation, "config": config, "steps": steps, "seed": seed, "cost": cost, "start": start},
            "draft": gr.State(None),
        }

    def watching(self) -> dict[str, Any]:
        """A job, its result, and the others."""
        job = gr.HTML(EMPTY, elem_id="job")
        with gr.Row(elem_classes="buttons"):
            stop = gr.Button("Stop", size="sm", visible=False, elem_id="stop")
            resume = gr.Button("Go on", size="sm", variant="primary", visible=False, elem_id="resume")
        result = gr.HTML(elem_id="result")
        with gr.Accordion("Export again, otherwise", open=False, visible=False, elem_id="again") as again:
            with gr.Row():
                self.formats = gr.Dropdown(list(EXPORTS), value=next(iter(EXPORTS)), label="Files", filterable=False)
                self.faces = gr.Number(40_000, label="Faces, at most", precision=0, minimum=100, maximum=500_000)
                self.texture = gr.Dropdown(
                    [512, 1024, 2048, 4096], value=1024, label="Texture, pixels", filterable=False
                )
                self.size = gr.Number(0, label="Largest side, mm (0: as it is)", minimum=0, maximum=100_000)
            self.export = gr.Button("Export", size="sm", elem_id="export")
        gr.HTML("<h2>Earlier ones</h2>")
        jobs = gr.HTML(elem_id="jobs")
        return {
            **{"job": job, "stop": stop, "resume": resume, "result": result, "again": again, "jobs": jobs},
            **{"chosen": gr.State(""), "shown": gr.State({})},
        }

    def wire(self, page: gr.Blocks, parts: Parts) -> None:
        looked = [parts.draft, parts.preview, parts.notes, parts.mask, parts.elevation, parts.found, parts.start]
        looked += [self.group, parts.editor, parts.cost]
        asked = [parts.config, parts.steps]
        self.on(parts.file.change, self.dropped, [parts.file, *asked], looked)
        self.on(self.invert.click, self.inverted, [parts.draft, *asked], looked)
        self.on(self.redraw.click, self.redrawn, [parts.draft, parts.editor, *asked], looked)
        self.on(parts.elevation.input, self.tilted, [parts.draft, parts.elevation, parts.config], [parts.preview])
        for part in asked:
            self.on(part.change, self.priced, asked, [parts.cost])
        watched = [parts.job, parts.stop, parts.resume, parts.result, parts.again, parts.jobs, parts.shown]
        choices = [parts.draft, parts.config, parts.elevation, parts.steps, parts.seed]
        started = self.on(parts.start.click, self.started, choices, [parts.chosen])
        seen = {"fn": self.seen, "inputs": [parts.chosen, parts.shown], "outputs": watched, "show_progress": "hidden"}
        started.then(**seen)
        for button, change in ((parts.stop, self.studio.queue.stop), (parts.resume, self.studio.queue.go_on)):
            self.on(button.click, changed_by(change), [parts.chosen], []).then(**seen)
        wanted = [parts.chosen, self.formats, self.faces, self.texture, self.size]
        self.on(self.export.click, self.exported, wanted, []).then(**seen)
        gr.Timer(LOOKS_EVERY).tick(**seen, queue=False)
        page.load(self.arrived, None, [parts.chosen], show_progress="hidden").then(**seen)

    @staticmethod
    def on(event: Any, change: Any, inputs: list[Any], outputs: list[Any]) -> Any:
        return event(change, inputs, outputs, show_progress="hidden")

    def arrived(self, request: gr.Request) -> str:
        """The job in the page's address, else the newest one."""
        jobs = self.studio.store.newest_first()
        asked = request.query_params.get("job", "")
        return next((job.id for job in jobs if job.id == asked), jobs[0].id if jobs else "")

    def dropped(self, file: str | None, config: str, steps: float) -> list[Any]:
        if not file:
            return [
                None,
                gr.HTML(visible=False),
                "",
                gr.skip(),
                gr.skip(),
                "",
                gr.Button(interactive=False),
                *[gr.skip()] * 3,
            ]
        try:
            draft = drafts.new_draft(self.studio.outputs, Path(file), Path(file).name, self.data(config))
        except UserError as error:
            return self.refused(None, str(error))
        return self.looked(draft, config, steps, new=True)

    def inverted(self, draft: drafts.Draft | None, config: str, steps: float) -> list[Any]:
        return self.looked(drafts.inverted(draft), config, steps) if draft else [gr.skip()] * 10

    def redrawn(self, draft: drafts.Draft | None, drawn: dict[str, Any] | None, config: str, steps: float) -> list[Any]:
        if not draft or not drawn or not drawn.get("layers"):
            return [gr.skip()] * 10
        return self.looked(drafts.redrawn(draft, *drafts.strokes(drawn["layers"], KEEP_RGB)), config, steps)

    def looked(self, draft: drafts.Draft, config: str, steps: float, new: bool = False) -> list[Any]:
        """The draft as the model will see it, or why it cannot."""
        editor = gr.ImageEditor(value=editable(draft)) if new else gr.skip()
        if draft.refusal:
            return [*self.refused(draft, f"{draft.refusal}. Or brush over the object below")[:8], editor, gr.skip()]
        try:
            look = drafts.look(draft, self.data(config))
        except UserError as error:
            return [*self.refused(draft, str(error))[:8], editor, gr.skip()]
        elevation = round(look.elevation.deg)
        return [
            draft,
            gr.HTML(scene(look.picture.rgba, elevation), visible=True),
            panels.notes(look.notes),
            gr.Accordion(visible=True),
            gr.Slider(value=elevation),
            f"<p class='quiet'>It looks like {look.elevation}. The disc shows whether that is right.</p>",
            gr.Button(interactive=True),
            gr.Group(visible=True),
            editor,
            self.priced(config, steps),
        ]

    @staticmethod
    def refused(draft: drafts.Draft | None, reason: str) -> list[Any]:
        by_hand = draft is not None
        hidden = [gr.HTML(visible=False), panels.notes([], reason), gr.Accordion(visible=by_hand, open=by_hand)]
        return [draft, *hidden, gr.skip(), "", gr.Button(interactive=False), gr.Group(visible=False), gr.skip(), ""]

    def tilted(self, draft: drafts.Draft | None, elevation: float, config: str) -> Any:
        return scene(drafts.look(draft, self.data(config)).picture.rgba, elevation) if draft else gr.skip()

    def priced(self, config: str, steps: float) -> str:
        cost = self.studio.cost(config, [f"trainer.max_steps={steps:.0f}"])
        return f"<p class='quiet'>Takes {cost}.</p>" if cost.seconds else f"<p class='quiet'>Its time is {cost}.</p>"

    def started(self, draft: drafts.Draft, config: str, elevation: float, steps: float, seed: float) -> str:
        settings = [f"data.default_elevation_deg={elevation:.0f}", f"trainer.max_steps={steps:.0f}", f"seed={seed:.0f}"]
        try:
            with open(draft.file, "rb") as picture:
                return self.studio.submit(f"{Path(draft.name).stem}.png", picture, config, settings).id
        except UserError as error:
            raise gr.Error(str(error)) from None

    def exported(self, chosen: str, formats: str, faces: float, texture: int, size: float) -> None:
        values = {"fmt": EXPORTS[formats], "max_faces": f"{faces:.0f}", "texture_size": texture, "size_mm": f"{size:g}"}
        try:
            self.studio.export(chosen, [f"system.exporter.{key}={value}" for key, value in values.items()])
        except UserError as error:
            raise gr.Error(str(error)) from None

    def seen(self, chosen: str, shown: dict[str, Any]) -> list[Any]:
        """What has changed since it was shown: a mesh that is being turned is not taken out of people's hands."""
        store = self.studio.store
        jobs = panels.job_list(self.studio, chosen)
        job = store.jobs.get(chosen)
        if job is None:
            now = {"jobs": jobs}
            return [*[gr.skip()] * 5, different(now, shown, "jobs"), now]
        result = panels.result_panel(self.studio, job) if job.state == State.DONE else ""
        now = {"jobs": jobs, "result": result, "state": str(job.state), "chosen": chosen}
        now["job"] = "" if job.state == State.DONE else panels.job_panel(self.studio, job)
        buttons = [
            gr.Button(visible=job.under_way),
            gr.Button(visible=job.state in (State.STOPPED, State.FAILED)),
        ]
        same = all(shown.get(key) == now[key] for key in ("state", "chosen"))
        return [
            different(now, shown, "job"),
            *([gr.skip()] * 2 if same else buttons),
            different(now, shown, "result"),
            gr.skip() if same else gr.Accordion(visible=job.state == State.DONE),
            different(now, shown, "jobs"),
            now,
        ]

    def data(self, config: str) -> dict[str, Any]:
        return dict(self.studio.runs.checked(config, []).data)


def changed_by(change: Any) -> Any:
    def changed(chosen: str) -> None:
        try:
            change(chosen)
        except UserError as error:
            raise gr.Error(str(error)) from None

    return changed


def different(now: dict[str, Any], shown: dict[str, Any], key: str) -> Any:
    return now[key] if now[key] != shown.get(key) else gr.skip()


def editable(draft: drafts.Draft) -> dict[str, Any]:
    """The picture with what is masked out paler, to be brushed over."""
    rgba = drafts.pixels(draft).astype(np.float32)
    alpha = rgba[..., 3:] / 255
    pale = 0.35 * rgba[..., :3] + 0.65 * 255
    return {
        "background": (alpha * rgba[..., :3] + (1 - alpha) * pale).astype(np.uint8),
        "layers": [],
        "composite": None,
    }


EMPTY = (
    '<article class="job empty"><div class="stage"><p class="quiet">Drop a picture of one object: '
    "a PNG with transparency, or a photograph on a plain background.</p></div></article>"
)
FOOTER = '<footer>Everything stays on this machine. <a href="/docs">The same over HTTP</a></footer>'
