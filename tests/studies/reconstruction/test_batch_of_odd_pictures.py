"""One bad picture beside a good one: it is named, in table and report, and the other is done; of any name."""

import json
import os
import zlib
from pathlib import Path

import pytest
from batch_stand_ins import PlayedEngine, done, finished, save_pictures
from PIL import Image

from studies.reconstruction.batch import run_batch
from studies.reconstruction.command import CASCADE, save
from studies.reconstruction.job import FAILED, LOG, Job, Result, read_result, write_result
from studies.reconstruction.pictures import find_pictures
from studies.reconstruction.plan import planned
from studies.reconstruction.worker import reason_of
from threestudio.picture.picture import prepare_picture
from threestudio.utils.files import on_disk

TINT = (0.9, 0.5, 0.1)
NOT_UTF_8 = os.fsdecode(b"caf\xe9.png")


def png_header(width: int, height: int) -> bytes:
    """A PNG that ends where its pixels would begin."""
    chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    header = (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + header + (1 << 20).to_bytes(4, "big") + b"IDAT"


def prepared(job: Job, attempt: int) -> Result:
    """As the worker begins with a picture; what it makes of one that is prepared does not depend on the picture."""
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / LOG).touch()
    try:
        prepare_picture(on_disk(job.path))
    except Exception as error:
        return Result(FAILED, reason_of(error))
    return done(PSNR=20.0)


def batch(folder: Path, engine: PlayedEngine) -> dict[str, Result]:
    jobs = planned(folder / "pictures", [CASCADE], [], folder / "out")
    results = run_batch(jobs, engine)
    for job in jobs:
        if results[job].done and not results[job].files:
            results[job] = finished(Job(job.picture, str(on_disk(job.path)), job.method, job.config, (), job.out))
    save(folder / "out", results, "pictures", {}, [])
    return {job.picture: result for job, result in results.items()}


def make_bomb(path):
    path.write_bytes(png_header(20_000, 19_000))


def make_pipe(path):
    os.mkfifo(path)


def make_device(path):
    path.symlink_to("/dev/zero")


def make_loop(path):
    path.symlink_to(path)


def make_folder(path):
    path.mkdir()
    (path / "rgba.png").mkdir()


BAD = {
    "bomb.png": (make_bomb, "truncated or damaged; save or download it again"),
    "pipe.png": (make_pipe, "a pipe, from which nothing is read; name a regular file"),
    "zero.png": (make_device, "a device, from which nothing is read; name a regular file"),
    "loop.png": (make_loop, "links that lead to each other"),
    "cat.heic": (lambda path: path.write_bytes(b"\0\0\0\x18ftypheic"), "cat.heic: "),  # which, pillow-heif decides
    "photo": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0"), "not a picture that can be read; save it as"),
    "nested": (make_folder, "a folder; data.image_path takes one picture file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_named_in_report_and_table_and_the_good_one_is_done(tmp_path, name):
    make, message = BAD[name]
    save_pictures(tmp_path / "pictures", good=TINT)
    make(tmp_path / "pictures" / name)
    results = batch(tmp_path, PlayedEngine(prepared))
    (bad,) = results.keys() - {"good"}
    assert results["good"].done and message in results[bad].reason and "\n" not in results[bad].reason
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("<article") == 2 and message in page
    assert "1 of 2 pictures done" in (tmp_path / "out/table.md").read_text()
    assert message in (tmp_path / "out/metrics.csv").read_text()


@pytest.mark.parametrize("suffix", ["gif", "avif", "webp", "jpg", "GIF", "dat"])
def test_every_format_that_launch_py_takes_is_done_in_a_batch(tmp_path, suffix):
    save_pictures(tmp_path / "pictures", cat=TINT)
    with Image.open(tmp_path / "pictures/cat.png") as image:
        white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    kind = {"dat": "png", "jpg": "jpeg"}.get(suffix, suffix)
    white.convert("RGB").resize((64, 64)).save(tmp_path / "pictures" / f"dog.{suffix}", kind)
    assert {name: result.done for name, result in batch(tmp_path, PlayedEngine(prepared)).items()} == {
        "cat": True,
        "dog": True,
    }


ODD_NAMES = ["settings.json.png", "config.yaml.png", "cup🎉.png", NOT_UTF_8, "${oc.env:HOME}.png", "n" * 250 + ".png"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_picture_of_any_name_is_done_and_then_neither_forgotten_nor_done_again(tmp_path, name):
    save_pictures(tmp_path / "pictures", good=TINT)
    (tmp_path / "pictures/good.png").rename(tmp_path / "pictures" / name)
    (result,) = batch(tmp_path, PlayedEngine(prepared)).values()
    assert result.done, result.reason
    again = PlayedEngine(prepared)
    assert batch(tmp_path, again).keys() and again.started == []
    (folder,) = (path for path in (tmp_path / "out/cascade-zero123").iterdir() if path.is_dir())
    assert len(os.fsencode(folder.name)) <= 130 and json.loads((folder / "source.json").read_text())


def test_names_that_would_be_one_folder_are_kept_apart(tmp_path):
    save_pictures(tmp_path, **{"cat": TINT, "settings.json": TINT, "settings.json_": TINT})
    (tmp_path / "cat.jpg").touch()
    save_pictures(tmp_path / "cat.png.png", rgba=TINT)
    save_pictures(tmp_path / "cat", rgba=TINT)
    names = [picture.name for picture in find_pictures(tmp_path)]
    assert len(set(names)) == len(names) == 6 and "settings.json" not in names


def test_what_a_job_was_is_read_back_whatever_its_picture_is_called(tmp_path):
    job = Job("cup🎉", "caf\\xe9.png", "cascade", "x.yaml", (), str(tmp_path))
    write_result(job, Result(FAILED, "cup🎉.png: \udce9"))
    assert read_result(job).reason == "cup🎉.png: \udce9"
