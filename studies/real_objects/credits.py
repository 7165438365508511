"""Who made the models, by library and licence: what CC BY asks for, beside the weights that were trained on them."""

from collections import defaultdict
from collections.abc import Sequence

from studies.real_objects.catalogue import LICENCES, Entry

LINKS = {
    "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC BY 3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC BY 3.0 US": "https://creativecommons.org/licenses/by/3.0/us/",
}
HEAD = """# Credits

The weights in this folder were trained on renderings of 3D models that people made and gave away, taken from the Debian
package `sweethome3d-furniture` (collected, cleaned and converted to OBJ by Emmanuel Puybaret, eTeks,
[Sweet Home 3D](https://www.sweethome3d.com)). No model is part of this repository. For training they were recoloured,
mirrored, stretched and rendered as small pictures. In brackets: the models of each author.
"""


def credits(entries: Sequence[Entry]) -> str:
    """Markdown: for each library its licence and authors, and each author's models by name."""
    libraries: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        libraries[entry.collection.stem][entry.creator or "unnamed author"].append(entry.name)
    parts = [HEAD]
    for library, authors in sorted(libraries.items()):
        licence = LICENCES.get(library, "see the package")
        parts.append(f"\n## {library}: {linked(licence)}\n\n")
        parts += [f"- {author} ({', '.join(counted(names))})\n" for author, names in sorted(authors.items())]
    return "".join(parts)


def linked(licence: str) -> str:
    return f"[{licence}]({LINKS[licence]})" if licence in LINKS else licence


def counted(names: Sequence[str]) -> list[str]:
    """Each name once, and how many there are of it."""
    numbers = {name: names.count(name) for name in sorted(set(names))}
    return [name if number == 1 else f"{name} x {number}" for name, number in numbers.items()]
