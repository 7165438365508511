"""Small stand-ins for a batch of pictures: jobs, results with files, an engine that does nothing, a tiny experiment."""

import json
import shutil
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import trimesh
from PIL import Image
from tiny_zero123 import ball_picture

from studies.metrics import Score
from studies.reconstruction.job import DONE, LOG, Job, Result, write_result
from threestudio.mesh.files import write_glb, write_obj
from threestudio.mesh.mesh import Mesh, TexturedMesh

REPOSITORY = Path(__file__).resolve().parents[1]

# launch.py's way of a picture in about a second: what takes the time is loading the libraries.
TINY = [
    *("trainer.max_steps=24", "trainer.val_check_interval=24", "checkpoint.every_n_train_steps=4"),
    *("data.height=[16,16]", "data.width=[16,16]", "data.random_camera.n_test_views=2"),
    *("data.random_camera.height=[16,16]", "data.random_camera.width=[16,16]"),
    *("data.random_camera.eval_height=16", "data.random_camera.eval_width=16"),
    *("system.guidance.prompt_steps=2", "system.warm_start_views=3", "system.warm_start_steps=12"),
    *("system.renderer.num_samples_per_ray=16", "system.exporter.texture_size=64"),
    *("system.geometry.isosurface_resolution=24", "system.geometry.isosurface_threshold=0.4"),
    *("system.surface.faces=1000", "system.surface.steps=20", "system.surface.field_views=4"),
]


def save_pictures(folder: Path, **tints: tuple[float, float, float]) -> Path:
    """Discs by name, as <name>.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, tint in tints.items():
        rgba = ball_picture().numpy()
        rgba[..., :3] = rgba[..., 3:] * np.array(tint)
        Image.fromarray(np.rint(rgba * 255).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def make_job(folder: Path, picture: str = "cat", method: str = "cascade") -> Job:
    path = save_pictures(folder / "pictures", **{picture: (0.9, 0.5, 0.1)}) / f"{picture}.png"
    return Job(
        picture, str(path), method, str(REPOSITORY / "configs" / "cascade-zero123.yaml"), (), str(folder / "out")
    )


def done(**scores: float) -> Result:
    return Result(DONE, seconds=61.0, memory_mb=900.0, scores={name: Score(value) for name, value in scores.items()})


def square() -> TexturedMesh:
    """Upper left red, upper right green, lower left blue, lower right white; seen from azimuth 0."""
    corners = np.array([[0.0, -0.5, -0.5], [0.0, 0.5, -0.5], [0.0, 0.5, 0.5], [0.0, -0.5, 0.5]])
    uv = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    albedo = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return TexturedMesh(Mesh(corners, faces), uv, faces, np.arange(4), albedo.repeat(8, axis=0).repeat(8, axis=1))


def finished(job: Job) -> Result:
    """With every file that a real one has."""
    folder, result = job.folder, done(PSNR=20.0, CLIP=0.8)
    result.scores["LPIPS"] = Score(None, 'not "here"')
    export = folder / "save" / "it6-export" / "model"
    export.parent.mkdir(parents=True)
    write_glb(export, square())
    write_obj(export, square())
    (folder / LOG).write_text("train 3/6\n")
    (folder / "save" / "prompt-views").mkdir()
    for name in ("input.png", "reference-view.png", "prompt-views/0_azimuth_+45.png"):
        shutil.copy(job.path, folder / "save" / name)
    imageio.mimsave(folder / "save" / "turntable.mp4", [np.zeros((16, 16, 3), np.uint8)] * 2, macro_block_size=1)
    result.files = {
        "glb": "save/it6-export/model.glb",
        "obj": "save/it6-export/model.obj",
        "source": "save/input.png",
        "reference_view": "save/reference-view.png",
        "turntable": "save/turntable.mp4",
        "prompts": ["save/prompt-views/0_azimuth_+45.png"],
    }
    result.faces = 2
    write_result(job, result)
    return result


class PlayedEngine:
    """Gives each job, one at a time, what `play` says becomes of it; notes which were started."""

    def __init__(self, play) -> None:
        self.play, self.job, self.started, self.closed = play, None, [], None

    def has_room(self) -> bool:
        return self.job is None

    def start(self, job: Job) -> None:
        self.job = job
        self.started.append(job.picture)

    def running(self) -> list[Job]:
        return [] if self.job is None else [self.job]

    def ended(self, timeout: float) -> list:
        job, self.job = self.job, None
        outcome = self.play(job, self.started.count(job.picture))
        if isinstance(outcome, Result):
            write_result(job, outcome)
        return [(job, outcome)]

    def close(self, interrupted: bool = False) -> None:
        self.closed = interrupted


def glb_bytes(job: Job) -> bytes:
    files = json.loads((job.folder / "result.json").read_text())["files"]
    return (job.folder / files["glb"]).read_bytes()


def as_trimesh(mesh: TexturedMesh) -> trimesh.Trimesh:
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(mesh.albedo))
    visual = trimesh.visual.TextureVisuals(uv=mesh.uv, material=material)
    return trimesh.Trimesh(mesh.mesh.positions, mesh.mesh.faces, visual=visual, process=False)
