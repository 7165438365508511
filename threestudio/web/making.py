"""The page's left side: what a picture is asked about before it becomes a job."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from threestudio.errors import UserError
from threestudio.web import drafts, panels
from threestudio.web.drawing import scene
from threestudio.web.events import on
from threestudio.web.further import with_angles
from threestudio.web.studio import Studio

KEEP, REMOVE = "#16a34a", "#dc2626"
KEEP_RGB = (22, 163, 74)
MOST_STEPS, LARGEST_SEED = 2000, 2**31 - 1
PICTURES = ["image", ".heic", ".heif"]
COLUMNS = ["Picture", "Around", "High"]
SIDES = (("back", 180), ("behind", 180), ("left", 90), ("right", -90))  # words in file names, and what they mean


class Making:
    """Its components, made where it is; a draft is the picture that they speak of."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.configs = studio.runs.offered()
        self.draft = gr.State(None)
        self.file = gr.File(label="Drop a picture", file_types=PICTURES, type="filepath", elem_id="drop")
        self.preview = gr.HTML(elem_id="preview", visible=False)
        self.notes = gr.HTML(elem_id="notes")
        self.ask_settings()
        self.ask_mask()
        self.ask_further()
        self.cost = gr.HTML(elem_id="cost")
        self.start = gr.Button("Make the mesh", variant="primary", interactive=False, elem_id="start")

    def ask_settings(self) -> None:
        default = self.studio.runs.checked(self.configs[0], [])
        with gr.Group(visible=False, elem_id="making") as self.settings:
            self.elevation = gr.Slider(-30, 80, 10, step=1, label="From how high, in degrees", elem_id="elevation")
            self.found = gr.HTML(elem_id="found")
            self.steps = gr.Slider(20, MOST_STEPS, default.trainer.max_steps, step=20, label="Steps")
            with gr.Row():
                self.config = gr.Dropdown(
                    self.configs, value=self.configs[0], label="Method", filterable=False, scale=2, min_width=150
                )
                self.seed = gr.Number(
                    default.seed, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED, min_width=90
                )

    def ask_mask(self) -> None:
        with gr.Accordion("Is the mask wrong?", open=False, visible=False, elem_id="mask") as self.mask:
            gr.HTML("<p class='quiet'>Green keeps, red removes.</p>")
            brush = gr.Brush(default_size=24, colors=[KEEP, REMOVE], default_color=KEEP, color_mode="fixed")
            self.editor = gr.ImageEditor(
                show_label=False, brush=brush, sources=(), transforms=(), layers=False, type="numpy", elem_id="editor"
            )
            with gr.Row():
                self.redraw = gr.Button("Take the brushed mask", size="sm", elem_id="redraw")
                self.invert = gr.Button("Turn the mask around", size="sm", elem_id="invert")

    def ask_further(self) -> None:
        with gr.Accordion("More pictures of it?", open=False, visible=False, elem_id="further") as self.more:
            gr.HTML(
                "<p class='quiet'>From other sides, in degrees: around it 180 is behind, 90 its left, -90 its right; "
                "high 0 is level.</p>"
            )
            self.files = gr.File(
                show_label=False, file_types=PICTURES, file_count="multiple", type="filepath", elem_id="drop-further"
            )
            self.cameras = gr.Dataframe(
                headers=COLUMNS,
                datatype=["str", "number", "number"],
                type="array",
                column_count=len(COLUMNS),
                row_count=0,
                static_columns=[0],
                show_label=False,
                visible=False,
                elem_id="cameras",
            )

    def wire(self) -> None:
        looked = [self.draft, self.preview, self.notes, self.mask, self.elevation, self.found, self.start]
        looked += [self.settings, self.editor, self.cost, self.more]
        asked = [self.config, self.steps]
        on(self.file.change, self.dropped, [self.file, *asked], looked)
        on(self.invert.click, self.inverted, [self.draft, *asked], looked)
        on(self.redraw.click, self.redrawn, [self.draft, self.editor, *asked], looked)
        on(self.elevation.input, self.tilted, [self.draft, self.elevation, self.config], [self.preview])
        on(self.files.change, self.listed, [self.files, self.elevation], [self.cameras])
        for part in asked:
            on(part.change, self.priced, asked, [self.cost])

    @property
    def choices(self) -> list[Any]:
        """What `started` takes."""
        return [self.draft, self.config, self.elevation, self.steps, self.seed, self.files, self.cameras]

    def dropped(self, file: str | None, config: str, steps: float) -> list[Any]:
        if not file:
            nothing = [None, gr.HTML(visible=False), "", gr.skip(), gr.skip(), "", gr.Button(interactive=False)]
            return [*nothing, *[gr.skip()] * 4]
        try:
            draft = drafts.new_draft(self.studio.outputs, Path(file), Path(file).name, self.data(config))
        except UserError as error:
            return refused(None, str(error))
        return self.looked(draft, config, steps, new=True)

    def inverted(self, draft: drafts.Draft | None, config: str, steps: float) -> list[Any]:
        return self.looked(drafts.inverted(draft), config, steps) if draft else [gr.skip()] * 11

    def redrawn(self, draft: drafts.Draft | None, drawn: dict[str, Any] | None, config: str, steps: float) -> list[Any]:
        if not draft or not drawn or not drawn.get("layers"):
            return [gr.skip()] * 11
        return self.looked(drafts.redrawn(draft, *drafts.strokes(drawn["layers"], KEEP_RGB)), config, steps)

    def looked(self, draft: drafts.Draft, config: str, steps: float, new: bool = False) -> list[Any]:
        """The draft as the model will see it, or why it cannot."""
        editor = gr.ImageEditor(value=editable(draft)) if new else gr.skip()
        if draft.refusal:
            reason = draft.refusal.partition(";")[0]  # what comes after it is for a command line
            return refused(draft, f"{reason}. Brush over the object below", editor)
        try:
            look = drafts.look(draft, self.data(config))
        except UserError as error:
            return refused(draft, str(error), editor)
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
            gr.Accordion(visible=True),
        ]

    def tilted(self, draft: drafts.Draft | None, elevation: float, config: str) -> Any:
        return scene(drafts.look(draft, self.data(config)).picture.rgba, elevation) if draft else gr.skip()

    @staticmethod
    def listed(files: list[str] | None, elevation: float) -> Any:
        """As high as the first picture, and from the side that a file's name says, until people know better."""
        rows = [[Path(file).name, side_of(Path(file).name), elevation] for file in files or []]
        return gr.Dataframe(value=rows, visible=bool(rows))

    def priced(self, config: str, steps: float) -> str:
        cost = self.studio.cost(config, [f"trainer.max_steps={steps:.0f}"])
        return f"<p class='quiet'>Takes {cost}.</p>" if cost.seconds else f"<p class='quiet'>Its time is {cost}.</p>"

    def started(
        self,
        draft: drafts.Draft,
        config: str,
        elevation: float,
        steps: float,
        seed: float,
        files: list[str] | None,
        cameras: Sequence[Sequence[Any]],
    ) -> str:
        """The new job's name."""
        settings = [f"data.default_elevation_deg={elevation:.0f}", f"trainer.max_steps={steps:.0f}", f"seed={seed:.0f}"]
        with ExitStack() as opened:
            picture = opened.enter_context(open(draft.file, "rb"))
            opened_files = [opened.enter_context(open(file, "rb")) for file in files or []]
            names, angles = [Path(file).name for file in files or []], [f"{row[1]},{row[2]}" for row in cameras]
            further = with_angles(names, opened_files, angles)
            return self.studio.submit(f"{Path(draft.name).stem}.png", picture, config, settings, further).id

    def data(self, config: str) -> dict[str, Any]:
        return dict(self.studio.runs.checked(config, []).data)


def refused(draft: drafts.Draft | None, reason: str, editor: Any = None) -> list[Any]:
    """Where there is a draft it can be masked by hand."""
    by_hand = draft is not None
    hidden = [gr.HTML(visible=False), panels.notes([], reason), gr.Accordion(visible=by_hand, open=by_hand)]
    closed = [gr.Button(interactive=False), gr.Group(visible=False), editor or gr.skip(), "", gr.skip()]
    return [draft, *hidden, gr.skip(), "", *closed]


def side_of(name: str) -> int:
    """Azimuth in degrees; behind where the name says nothing, since that is what a first picture lacks most."""
    return next((azimuth for word, azimuth in SIDES if word in name.lower()), SIDES[0][1])


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
