"""What the page shows of a job and of all of them, as HTML."""

import time
from html import escape
from urllib.parse import quote

from threestudio.utils.live_picture import LIVE
from threestudio.utils.progress import minutes
from threestudio.web.jobs import Job, State
from threestudio.web.progress import Progress
from threestudio.web.results import ZIP, results
from threestudio.web.studio import Studio

DOWNLOADS = (
    ("model.glb", "GLB"),
    ("model.obj", "OBJ"),
    ("model.stl", "STL"),
    ("model.ply", "PLY"),
    (ZIP, "All, zipped"),
)
PROMPTS = ("from its left", "from its right", "from above")
DAY_SECONDS = 24 * 3600


def address(job: Job, file: str, version: float | None = None) -> str:
    return f"/jobs/{quote(job.id)}/{quote(file)}" + ("" if version is None else f"?v={version:.0f}")


def job_panel(studio: Studio, job: Job) -> str:
    """While it is under way, and why it is not."""
    progress, place = studio.progress(job), studio.store.place(job)
    files = results(place)
    picture = next((name for name in (LIVE, "input.png") if name in files), None)
    shown = ""
    if picture is not None:
        source = address(job, picture, files[picture].stat().st_mtime * 1000)
        shown = f'<img src="{source}" alt="The object as it forms">'
    return (
        f'<article class="job {job.state}" data-job="{escape(job.id)}">'
        f'<div class="stage">{shown or waiting_picture(job)}</div>'
        f"<h3>{escape(job.name)}</h3>{status(studio, job, progress)}</article>"
    )


def waiting_picture(job: Job) -> str:
    said = "in the queue" if job.state == State.WAITING else "the first picture comes in a moment"
    return f'<p class="quiet">{said}</p>'


def status(studio: Studio, job: Job, progress: Progress) -> str:
    """A line and a bar."""
    share = f'<progress max="1" value="{progress.share:.3f}"></progress>'
    if job.state == State.WAITING:
        ahead = studio.queue.ahead_of(job)
        return f'<p class="line">Waiting{f", {ahead} before it" if ahead else ""}</p>'
    if job.state == State.FAILED:
        return f'<p class="line bad"><strong>Failed.</strong> {escape(job.reason)}</p>'
    if job.state == State.STOPPED:
        return f'<p class="line">Stopped at {progress.share:.0%}; it can go on</p>{share}'
    left = "" if progress.seconds_left is None else f" · {minutes(progress.seconds_left)} left"
    return f'<p class="line">{escape(progress.what.capitalize())}<span>{progress.share:.0%}{left}</span></p>{share}'


def result_panel(studio: Studio, job: Job) -> str:
    """The mesh to turn, and everything to take away."""
    files = results(studio.store.place(job))
    if "model.glb" not in files:
        return ""
    version = files["model.glb"].stat().st_mtime * 1000
    label = escape(f"The mesh of {job.name}; drag, or use the arrow keys, to turn it", quote=True)
    reason = f'<p class="line bad">{escape(job.reason)}</p>' if job.reason else ""
    return (
        f'<article class="result" data-job="{escape(job.id)}"><div class="stage">'
        f'<canvas data-mesh="{address(job, "mesh.json", version)}" '
        f'tabindex="0" role="img" aria-label="{label}"></canvas><p class="hint">Drag to turn, scroll to come nearer</p>'
        '<button class="clay" type="button" aria-pressed="false">Clay</button></div>'
        f"{reason}{downloads(job, files)}{views(job, files)}</article>"
    )


def downloads(job: Job, files: dict) -> str:
    links = "".join(
        f'<a href="{address(job, name)}" download>{text}</a>'
        for name, text in DOWNLOADS
        if name in files or name == ZIP
    )
    return f'<nav class="downloads" aria-label="Downloads">{links}</nav>'


def views(job: Job, files: dict) -> str:
    """The turntable, and what the model imagined of the sides."""
    figures = []
    if "turntable.mp4" in files:
        source = address(job, "turntable.mp4", files["turntable.mp4"].stat().st_mtime)
        video = f'<video src="{source}" autoplay muted loop playsinline></video>'
        figures.append(f"<figure>{video}<figcaption>a turn around the field</figcaption></figure>")
    for number, caption in enumerate(PROMPTS):
        if f"prompt-{number}.png" in files:
            image = f'<img src="{address(job, f"prompt-{number}.png")}" alt="" loading="lazy">'
            figures.append(f"<figure>{image}<figcaption>imagined {caption}</figcaption></figure>")
    return f'<div class="views">{"".join(figures)}</div>'


def job_list(studio: Studio, chosen: str) -> str:
    jobs = studio.store.newest_first()
    if not jobs:
        return '<p class="quiet">None yet. They stay here when the page or the server is closed.</p>'
    return f'<ul class="jobs">{"".join(entry(studio, job, job.id == chosen) for job in jobs)}</ul>'


def entry(studio: Studio, job: Job, chosen: bool) -> str:
    files = results(studio.store.place(job))
    image = f'<img src="{address(job, "input.png")}" alt="" loading="lazy">' if "input.png" in files else "<i></i>"
    said = f"{job.state}" if job.state != State.RUNNING else f"{studio.progress(job).share:.0%}"
    current = ' aria-current="true"' if chosen else ""
    return (
        f'<li><a href="/?job={quote(job.id)}"{current}>{image}<span><b>{escape(job.name)}</b>'
        f'<small>{when(job.created)} · {escape(job.config)}</small></span><em class="{job.state}">{said}</em></a></li>'
    )


def when(moment: float) -> str:
    pattern = "%H:%M" if time.time() - moment < DAY_SECONDS else "%-d %b, %H:%M"
    return time.strftime(pattern, time.localtime(moment))


def notes(said: list[str], warning: str = "") -> str:
    items = "".join(f"<li>{escape(one[:1].upper() + one[1:])}</li>" for one in said)
    bad = f'<li class="bad">{escape(warning)}</li>' if warning else ""
    return f'<ul class="notes">{bad}{items}</ul>' if items or bad else ""
