"""One picture in the report: what went in, and what each method made of it."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from studies.metrics.paper_tables import ARROWS, DIGITS
from studies.reconstruction.job import LOG, Job, Result
from threestudio.mesh.files import read_glb
from threestudio.utils.files import regular_file
from threestudio.utils.progress import minutes
from threestudio.web.embedding import file_text, mesh_text, picture_uri

SMALL = 96  # pixels, of a picture in the contents and of prompt views


def card(results: Mapping[Job, Result], embed: bool = True) -> str:
    """`results` are one picture's, by each method; without `embed`, videos and meshes stay in their files."""
    first = next(iter(results))
    camera = next((result for result in results.values() if result.done), Result(""))
    panels = "".join(
        panel(job, result, embed) if result.done else failure(job, result) for job, result in results.items()
    )
    return (
        f'<article class="card" id="{anchor(first.picture)}" data-azimuth="{camera.azimuth_deg:g}" '
        f'data-elevation="{camera.elevation_deg:g}">\n<header><h2>{escape(first.picture)}</h2></header>\n'
        f'<div class="body">{source(results)}{panels}</div>\n</article>\n'
    )


def anchor(name: str) -> str:
    return quote(f"picture-{name}", safe="")


def link_to_card(results: Mapping[Job, Result]) -> str:
    name = next(iter(results)).picture
    image = source_image(results, SMALL)
    failed = "" if all(result.done for result in results.values()) else ' class="failed"'
    return f'<a href="#{quote(anchor(name))}"{failed}>{image}{escape(name)}</a>'


def source(results: Mapping[Job, Result]) -> str:
    image = source_image(results)
    caption = "The picture, as prepared" if image else "The picture could not be read"
    return f'<figure class="picture source">{image}<figcaption>{caption}</figcaption></figure>'


def source_image(results: Mapping[Job, Result], side: int = 320) -> str:
    """As prepared; where no run came so far, as given; where that is no picture, nothing."""
    prepared = [job.folder / result.files["source"] for job, result in results.items() if result.done]
    for path in [*prepared, *(Path(job.path) for job in results)]:
        try:
            return f'<img loading="lazy" alt="" src="{picture_uri(regular_file(path), side)}">'
        except Exception:  # a picture that failed may be anything, a decompression bomb too; its reason is told apart
            continue
    return ""


def panel(job: Job, result: Result, embed: bool) -> str:
    heading = f"<h3>{escape(job.method)}<span>{minutes(result.seconds)} min</span></h3>"
    parts = [heading, stage(job, result, embed), views(job, result, embed), metrics(result), links(job, result)]
    return f'<section class="result">{"".join(parts)}</section>'


def stage(job: Job, result: Result, embed: bool) -> str:
    """The mesh; until it is shown, and where it cannot be, its view from the picture's camera."""
    poster = f'<img alt="" src="{picture_uri(job.folder / result.files["reference_view"])}">'
    if not embed:
        return f'<div class="stage">{poster}<p class="hint">open the GLB to turn it</p></div>'
    name = f"mesh-{identity(job)}"
    label = escape(f"The mesh of {job.picture} by {job.method}; drag, or use the arrow keys, to turn it", quote=True)
    data = mesh_text(read_glb(job.folder / result.files["glb"]))
    return (
        f'<div class="stage">{poster}<canvas data-mesh="{name}" tabindex="0" role="img" aria-label="{label}"></canvas>'
        '<p class="hint">drag to turn</p><button class="clay" type="button" aria-pressed="false">shape</button>'
        f'<script type="application/json" id="{name}">{data}</script></div>'
    )


def views(job: Job, result: Result, embed: bool) -> str:
    """The turntable and the self-prompted views."""
    path, name = job.folder / result.files["turntable"], f"video-{identity(job)}"
    if embed:
        data = f'<script type="text/plain" id="{name}">{file_text(path)}</script>'
        video = f'<video data-video="{name}" muted loop playsinline preload="none"></video>{data}'
    else:
        video = f'<video src="{href(job, result.files["turntable"])}" controls muted loop preload="none"></video>'
    figures = [f"<figure>{video}<figcaption>turntable</figcaption></figure>"]
    for prompt in result.files["prompts"]:
        caption = Path(prompt).stem.split("_", 1)[-1].replace("_", " ")
        image = f'<img loading="lazy" alt="" src="{picture_uri(job.folder / prompt, SMALL * 2)}">'
        figures.append(f'<figure class="picture">{image}<figcaption>{escape(caption)}</figcaption></figure>')
    return f'<div class="views">{"".join(figures)}</div>'


def metrics(result: Result) -> str:
    cells = [
        number(f"{name} {ARROWS.get(name, '')}".strip(), score.text(DIGITS.get(name, 3)), score.reason)
        for name, score in result.scores.items()
    ]
    cells += [number("memory", f"{result.memory_mb / 1000:.1f} GB"), number("faces", f"{result.faces:,}")]
    if result.gpu_memory_mb:
        cells.append(number("GPU memory", f"{result.gpu_memory_mb / 1000:.1f} GB"))
    if result.resumed_at_step:
        cells.append(number("resumed at", f"step {result.resumed_at_step}"))
    return f'<dl class="metrics">{"".join(cells)}</dl>'


def number(name: str, text: str, reason: str = "") -> str:
    value = f'<dd class="none" title="{escape(reason, quote=True)}">{text}</dd>' if reason else f"<dd>{text}</dd>"
    return f"<div><dt>{escape(name)}</dt>{value}</div>"


def links(job: Job, result: Result) -> str:
    files = [("GLB", result.files["glb"])]
    if "obj" in result.files:
        obj = Path(result.files["obj"])
        files += [("OBJ", str(obj))]
        files += [(name, str(obj.parent / found.name)) for name, found in companions(job.folder / obj)]
    return link_list(job, [*files, ("log", LOG)])


def companions(obj: Path) -> list[tuple[str, Path]]:
    """What an OBJ needs beside it."""
    found = [("MTL", obj.with_suffix(".mtl")), *(("texture", path) for path in obj.parent.glob(f"{obj.stem}_albedo.*"))]
    return [(name, path) for name, path in found if path.is_file()]


def link_list(job: Job, files: Sequence[tuple[str, str]]) -> str:
    parts = (f'<a href="{href(job, file)}"{"" if name == "log" else " download"}>{name}</a>' for name, file in files)
    return f'<p class="links">{"".join(parts)}</p>'


def failure(job: Job, result: Result) -> str:
    return (
        f'<section class="result"><h3>{escape(job.method)}<span>{minutes(result.seconds)} min</span></h3>'
        f'<div class="failure"><strong>Failed.</strong> {escape(result.reason)}{link_list(job, [("log", LOG)])}</div>'
        "</section>"
    )


def href(job: Job, file: str) -> str:
    """Relative to the page, which lies in the output folder."""
    return quote(str(Path(job.method) / job.picture / file))


def identity(job: Job) -> str:
    return quote(f"{job.method}-{job.picture}", safe="")
