"""The page's right side: a job, its result, and the others."""

from typing import Any

import gradio as gr

from threestudio.web import panels
from threestudio.web.appearance import EMPTY
from threestudio.web.events import on
from threestudio.web.jobs import State
from threestudio.web.making import Making
from threestudio.web.studio import Studio

LOOKS_EVERY = 2.0  # seconds
EXPORTS = {"GLB, OBJ, STL and PLY": "glb+obj+stl+ply", "GLB alone": "glb", "OBJ alone": "obj-mtl"}
TEXTURES = [512, 1024, 2048, 4096]


class Watching:
    """Its components, made where it is; `chosen` is the job that they show, `shown` what they show of it."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.chosen, self.shown = gr.State(""), gr.State({})
        self.job = gr.HTML(EMPTY, elem_id="job")
        with gr.Row(elem_classes="buttons"):
            self.stop = gr.Button("Stop", size="sm", visible=False, elem_id="stop")
            self.resume = gr.Button("Go on", size="sm", variant="primary", visible=False, elem_id="resume")
        self.result = gr.HTML(elem_id="result")
        self.ask_export()
        gr.HTML("<h2>Earlier ones</h2>")
        self.jobs = gr.HTML(elem_id="jobs")

    def ask_export(self) -> None:
        with gr.Accordion("Export again, otherwise", open=False, visible=False, elem_id="again") as self.again:
            with gr.Row():
                self.formats = gr.Dropdown(list(EXPORTS), value=next(iter(EXPORTS)), label="Files", filterable=False)
                self.faces = gr.Number(40_000, label="Faces, at most", precision=0, minimum=100, maximum=500_000)
                self.texture = gr.Dropdown(TEXTURES, value=1024, label="Texture, pixels", filterable=False)
                self.size = gr.Number(0, label="Largest side, mm (0: as it is)", minimum=0, maximum=100_000)
            self.export = gr.Button("Export", size="sm", elem_id="export")

    def wire(self, page: gr.Blocks, making: Making) -> None:
        watched = [self.job, self.stop, self.resume, self.result, self.again, self.jobs, self.shown]
        seen = {"fn": self.seen, "inputs": [self.chosen, self.shown], "outputs": watched, "show_progress": "hidden"}
        on(making.start.click, making.started, making.choices, [self.chosen]).then(**seen)
        for button, change in ((self.stop, self.studio.queue.stop), (self.resume, self.studio.queue.go_on)):
            on(button.click, lambda chosen, change=change: change(chosen) and None, [self.chosen], []).then(**seen)
        wanted = [self.chosen, self.formats, self.faces, self.texture, self.size]
        on(self.export.click, self.exported, wanted, []).then(**seen)
        gr.Timer(LOOKS_EVERY).tick(**seen, queue=False)
        page.load(self.arrived, None, [self.chosen], show_progress="hidden").then(**seen)

    def arrived(self, request: gr.Request) -> str:
        """The job in the page's address, else the newest one."""
        jobs = self.studio.store.newest_first()
        asked = request.query_params.get("job", "")
        return next((job.id for job in jobs if job.id == asked), jobs[0].id if jobs else "")

    def exported(self, chosen: str, formats: str, faces: float, texture: int, size: float) -> None:
        values = {"fmt": EXPORTS[formats], "max_faces": f"{faces:.0f}", "texture_size": texture, "size_mm": f"{size:g}"}
        self.studio.export(chosen, [f"system.exporter.{key}={value}" for key, value in values.items()])

    def seen(self, chosen: str, shown: dict[str, Any]) -> list[Any]:
        """What has changed since it was shown: a mesh that is being turned is not taken out of people's hands."""
        jobs = panels.job_list(self.studio, chosen)
        job = self.studio.store.jobs.get(chosen)
        if job is None:
            now = {"jobs": jobs}
            return [*[gr.skip()] * 5, different(now, shown, "jobs"), now]
        done = job.state == State.DONE
        now = {"jobs": jobs, "state": str(job.state), "chosen": chosen}
        now["result"] = panels.result_panel(self.studio, job) if done else ""
        now["job"] = "" if done else panels.job_panel(self.studio, job)
        buttons = [gr.Button(visible=job.under_way), gr.Button(visible=job.state in (State.STOPPED, State.FAILED))]
        same = all(shown.get(key) == now[key] for key in ("state", "chosen"))
        return [
            different(now, shown, "job"),
            *([gr.skip()] * 2 if same else buttons),
            different(now, shown, "result"),
            gr.skip() if same else gr.Accordion(visible=done),
            different(now, shown, "jobs"),
            now,
        ]


def different(now: dict[str, Any], shown: dict[str, Any], key: str) -> Any:
    return now[key] if now[key] != shown.get(key) else gr.skip()
