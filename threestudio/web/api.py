"""The jobs over HTTP; /docs has it all, from the same declarations.

curl -F picture=@mug.png -F set=trainer.max_steps=520 http://127.0.0.1:7860/jobs
curl -F picture=@mug.png -F further=@back.png -F angles=180,0 http://127.0.0.1:7860/jobs
curl http://127.0.0.1:7860/jobs/<id>
curl -O http://127.0.0.1:7860/jobs/<id>/model.glb
"""

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from threestudio.errors import UserError
from threestudio.mesh.files import read_glb
from threestudio.web.embedding import mesh_text
from threestudio.web.further import with_angles
from threestudio.web.jobs import Job, State
from threestudio.web.limits import plain_name
from threestudio.web.progress import last_lines
from threestudio.web.results import TYPES, ZIP, result, results
from threestudio.web.studio import Studio

LOG_LINES = 20
FOR_EACH = "azimuth,elevation of each further picture in degrees: 180,0 from behind, 90,0 from the right"
UNPROCESSABLE, TOO_MANY, NOT_FOUND, CONFLICT = 422, 429, 404, 409


class Made(BaseModel):
    """A job that was taken."""

    id: str


class How(BaseModel):
    """How far a job has come."""

    what: str = Field(description="what is being done, in words")
    share: float = Field(description="of the whole job, 0 to 1")
    step: int
    steps: int
    seconds_left: float | None = Field(description="null while nobody knows")


class Report(BaseModel):
    """A job as it stands."""

    id: str
    name: str = Field(description="of the picture")
    config: str
    settings: list[str]
    state: State
    reason: str = Field(description="why it failed, in one line")
    ahead: int = Field(description="jobs that come before it")
    created: float = Field(description="seconds since 1970")
    seconds: float = Field(description="at work so far")
    progress: How
    log: list[str] = Field(description=f"its last {LOG_LINES} lines")
    files: list[str] = Field(description="what there is to fetch, as /jobs/<id>/<file>")


def make_api(studio: Studio) -> FastAPI:
    api = FastAPI(
        title="Cascade-Zero123",
        summary="One picture in, one textured mesh out.",
        version="1",
        docs_url=None,
        redoc_url=None,
    )
    api.exception_handler(UserError)(as_refusal)

    @api.post("/jobs", status_code=201, responses=refusals(UNPROCESSABLE, TOO_MANY, 411, 413))
    async def make_job(
        picture: Annotated[UploadFile, File(description="PNG with transparency, or any photograph")],
        set: Annotated[list[str], Form(description="key=value, any number of times")] = [],  # noqa: B006
        config: Annotated[str, Form(description="the name of a file in configs/")] = "cascade-zero123",
        further: Annotated[list[UploadFile], File(description="more pictures of the object, from other sides")] = [],  # noqa: B006
        angles: Annotated[list[str], Form(description=FOR_EACH)] = [],  # noqa: B006
    ) -> Made:
        """Takes a picture; the job waits until those before it are done."""
        names, files = [plain_name(one.filename) for one in further], [one.file for one in further]
        more = with_angles(names, files, angles)
        name = plain_name(picture.filename)
        job = await run_in_threadpool(studio.submit, name, picture.file, config, set, more)
        return Made(id=job.id)

    @api.get("/jobs")
    def list_jobs(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[Report]:
        """The newest first."""
        return [report(studio, job) for job in studio.store.newest_first()[:limit]]

    @api.get("/jobs/{identity}", responses=refusals(NOT_FOUND))
    def get_job(identity: str) -> Report:
        return report(studio, found(studio, identity))

    @api.delete("/jobs/{identity}", responses=refusals(NOT_FOUND))
    def stop_job(identity: str) -> Report:
        """Stops it; what it has is kept, and it can go on. One that is at its end stays as it is."""
        found(studio, identity)
        return report(studio, studio.queue.stop(identity))

    @api.post("/jobs/{identity}/resume", responses=refusals(NOT_FOUND, CONFLICT, TOO_MANY))
    def resume_job(identity: str) -> Report:
        """A stopped or failed job goes on from its last checkpoint."""
        found(studio, identity)
        return report(studio, conflicting(lambda: studio.queue.go_on(identity)))

    @api.post("/jobs/{identity}/export", responses=refusals(NOT_FOUND, CONFLICT, UNPROCESSABLE, TOO_MANY))
    def export_job(identity: str, set: Annotated[list[str], Form()] = []) -> Report:  # noqa: B006
        """The mesh of a finished job once more, with other system.exporter settings and without another run."""
        found(studio, identity)
        return report(studio, conflicting(lambda: studio.export(identity, set)))

    @api.get("/jobs/{identity}/log", response_class=PlainTextResponse, responses=refusals(NOT_FOUND))
    def get_log(identity: str) -> Response:
        path = studio.store.log(found(studio, identity))
        return PlainTextResponse(path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "")

    @api.get("/jobs/{identity}/mesh.json", responses=refusals(NOT_FOUND))
    def get_mesh(identity: str) -> Response:
        """The mesh as the page's viewer takes it."""
        path = made(studio, identity, "model.glb")
        return Response(mesh_text(read_glb(path)), media_type="application/json", headers={"Cache-Control": "no-cache"})

    @api.get("/jobs/{identity}/{file}", responses=refusals(NOT_FOUND), response_class=FileResponse)
    def get_file(identity: str, file: str) -> FileResponse:
        """model.glb, .obj, .mtl, .stl, .ply, model.zip with all of them, turntable.mp4, contact-sheet.png, live.jpg."""
        path = made(studio, identity, file)
        name = f"{Path(studio.store.get(identity).name).stem}{path.suffix}" if file == ZIP else path.name
        return FileResponse(
            path, media_type=TYPES.get(path.suffix), filename=name, content_disposition_type=shown(path)
        )

    return api


def shown(path: Path) -> str:
    return "inline" if path.suffix in (".png", ".jpg", ".mp4") else "attachment"


def report(studio: Studio, job: Job) -> Report:
    place = studio.store.place(job)
    log = studio.store.log(job)
    progress = studio.progress(job)
    return Report(
        **{name: getattr(job, name) for name in ("id", "name", "config", "state", "reason", "created", "seconds")},
        settings=list(job.settings),
        ahead=studio.queue.ahead_of(job) if job.state == State.WAITING else 0,
        progress=How(**vars(progress)),
        log=[line for line in last_lines(log) if line][-LOG_LINES:],
        files=[*(files := results(place)), *([ZIP] if "model.glb" in files else [])],
    )


def found(studio: Studio, identity: str) -> Job:
    try:
        return studio.store.get(identity)
    except UserError as error:
        raise HTTPException(NOT_FOUND, str(error)) from None


def made(studio: Studio, identity: str, file: str) -> Path:
    place = studio.store.place(found(studio, identity))
    try:
        return result(place, file)
    except UserError as error:
        raise HTTPException(NOT_FOUND, str(error)) from None


def conflicting(change: Any) -> Job:
    """A job that is not in a state for it."""
    try:
        return change()
    except UserError as error:
        if type(error) is UserError and str(error).startswith("job "):
            raise HTTPException(CONFLICT, str(error)) from None
        raise


def as_refusal(request: Request, error: Exception) -> JSONResponse:
    from threestudio.web.queue import QueueFull

    status = TOO_MANY if isinstance(error, QueueFull) else UNPROCESSABLE
    return JSONResponse({"detail": " ".join(str(error).split())}, status_code=status)


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"description": "refused, with the reason in `detail`"} for code in codes}
