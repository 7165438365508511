"""Every line that tells a user's mistake stands, by its own words, in a test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("threestudio", "custom/threestudio-cascade-zero123", "scripts")
WORDS = 3  # in a row, of the message's own, that a test has to quote; fewer where there are fewer
# What no test quotes yet; take out what one does, add nothing.
UNQUOTED: set[tuple[str, str]] = {
    ("custom/threestudio-cascade-zero123/files.py", "expected a JSON object"),
    ("custom/threestudio-cascade-zero123/files.py", "not readable as JSON ("),
    ("custom/threestudio-cascade-zero123/files.py", "not readable as text ("),
    ("custom/threestudio-cascade-zero123/metrics/clip.py", "expected a JSON object"),
    ("custom/threestudio-cascade-zero123/metrics/clip.py", "not a CLIP image encoder with projection; it lacks"),
    ("custom/threestudio-cascade-zero123/metrics/clip.py", "not readable as JSON ("),
    ("custom/threestudio-cascade-zero123/novel_view.py", "deg; keep elevations within -90..90"),
    ("custom/threestudio-cascade-zero123/pipeline.py", "pixels; cut its object out, or pad it"),
    ("custom/threestudio-cascade-zero123/training/packed_files.py", "damaged, or no array of numbers ("),
    ("custom/threestudio-cascade-zero123/training/packed_files.py", "expected floats"),
    ("custom/threestudio-cascade-zero123/zero123/ldm_checkpoint.py", "* is not OpenAI's ViT ("),
    ("custom/threestudio-cascade-zero123/zero123/ldm_checkpoint.py", "* is not this layout, or misshapen"),
    ("custom/threestudio-cascade-zero123/zero123/ldm_checkpoint.py", "is the average of nothing in"),
    ("custom/threestudio-cascade-zero123/zero123/ldm_checkpoint.py", "not its template, or incomplete"),
    (
        "custom/threestudio-cascade-zero123/zero123/ldm_config.py",
        "first_stage_config needs attn_resolutions [] and embed_dim equal to z_channels",
    ),
    ("custom/threestudio-cascade-zero123/zero123/ldm_config.py", "not readable as an LDM configuration ("),
    ("custom/threestudio-cascade-zero123/zero123/sampler.py", "DDIM steps; expected 1 to"),
    ("custom/threestudio-cascade-zero123/zero123/tensor_files.py", "a tensor is called"),
    ("scripts/ablate_export.py", "no finished runs (<object>/run) in it"),
    ("scripts/convert_checkpoint.py", "--template names an original checkpoint"),
    ("scripts/convert_checkpoint.py", "--to ldm needs --template, an original checkpoint whose layout is written"),
    ("scripts/evaluate_reconstruction.py", "launch.py ended with"),
    ("scripts/reconstruction/measures.py", "the run exported no GLB; set system.exporter.fmt to glb+obj"),
    ("scripts/reconstruction/ray_cluster.py", "--address"),
    ("scripts/render_views.py", "expected at most 1000, since file names have three digits"),
    ("scripts/rendering/folder.py", "no mesh found; expected files ending in"),
    ("scripts/training/timed.py", "failed, as said above"),
    (
        "threestudio/models/geometry/implicit_volume.py",
        "normals are needed (by the material or a loss), but the geometry has normal_type null",
    ),
    ("threestudio/run.py", "pass --train or --validate"),
    (
        "threestudio/systems/base.py",
        "system.loggers.wandb: not supported here; set enable: false (TensorBoard and CSV are kept)",
    ),
    ("threestudio/systems/zero123.py", "data.use_random_camera: false"),
    (
        "threestudio/systems/zero123.py",
        "system.warm_start_elevations_deg: empty; give an elevation, or warm_start_views=0",
    ),
    ("threestudio/utils/checkpoint.py", "damaged (checksum of"),
    ("threestudio/utils/config.py", "not a text file"),
    ("threestudio/utils/misc.py", "nothing found for LAST in"),
    ("threestudio/utils/schedules.py", '"; known are linear, exp'),
}


def raised() -> Iterator[tuple[str, list[str]]]:
    """Where each `raise UserError(...)` stands, and the literal parts of its text."""
    for source in SOURCES:
        for file in sorted((ROOT / source).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                call = node.exc if isinstance(node, ast.Raise) else None
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "UserError":
                    parts = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant)]
                    yield str(file.relative_to(ROOT)), [part for part in parts if isinstance(part, str)]


def quotes(part: str) -> set[str]:
    """What a test may quote of a literal part: any few words in a row, within one clause."""
    found = set()
    for clause in re.split(r"[:;,()]\s*", part):
        words = clause.split()
        if sum(len(word) for word in words) >= 8:
            size = min(WORDS, len(words))
            found |= {" ".join(words[start : start + size]) for start in range(len(words) - size + 1)}
    return found


def test_every_user_error_is_quoted_by_a_test():
    files = (file for file in sorted((ROOT / "tests").rglob("*.py")) if file != Path(__file__))
    tests = "\n".join(file.read_text(encoding="utf-8") for file in files)
    tests = re.sub(r"\\(?=[^\w\s])", "", tests)  # regular expressions quote with backslashes
    unquoted = set()
    for file, parts in raised():
        own = set().union(*map(quotes, parts))
        if own and not any(quote in tests for quote in own):
            unquoted.add((file, max(parts, key=len).strip(" :;,")))
    assert not unquoted - UNQUOTED, sorted(unquoted - UNQUOTED)
