"""Objects made by people as GLB files, split by name: to train on, and to test with, beside generated ones.

    apt-get download sweethome3d-furniture
    python scripts/make_real_objects.py sweethome3d-furniture_1.8-1_all.deb OUT_DIR
    python scripts/render_views.py OUT_DIR/train --packed DATA --layout cascade --variants 8

Takes the package file or a folder that it was unpacked to; leaves out people, doors, windows, stairs, and what is fixed
or flat. Writes OUT_DIR/{train,val,test}/<id>.glb (y up, front towards +z), names.json (id to name) and CREDITS.md. What
is there already is not made again; what cannot be read is listed and left out.
"""

import argparse
import json
import sys
from pathlib import Path

from tqdm import tqdm

from studies.real_objects.catalogue import Entry, entries, libraries
from studies.real_objects.credits import credits
from studies.real_objects.models import write_model
from studies.real_objects.splits import split_of
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the .deb file, or a folder that it was unpacked to")
    parser.add_argument("out_dir", type=Path)
    options = parser.parse_args(arguments)
    try:
        with libraries(options.package) as found:
            objects = [entry for library in found for entry in entries(library) if entry.is_object]
            failures = write_all(objects, options.out_dir)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_lists(objects, options.out_dir)
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(objects) - len(failures)} of {len(objects)} models in {options.out_dir}")
    return 1 if failures else 0


def write_all(objects: list[Entry], out_dir: Path) -> list[str]:
    """One line for each model that could not be read."""
    failures = []
    for entry in tqdm(objects, unit="model"):
        path = out_dir / split_of(entry.name) / f"{entry.file_name}.glb"
        if path.is_file():
            continue
        # Parsers of mesh files raise whatever they stumble over; one bad file must not stop the others.
        try:
            write_model(entry, path)
        except Exception as error:
            failures.append(f"{entry.key}: {type(error).__name__}: {' '.join(str(error).split())}")
    return failures


def write_lists(objects: list[Entry], out_dir: Path) -> None:
    with atomic_path(out_dir / "names.json") as partial:
        names = {entry.file_name: entry.name for entry in objects}
        partial.write_text(json.dumps(names, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with atomic_path(out_dir / "CREDITS.md") as partial:
        partial.write_text(credits(objects), encoding="utf-8")
