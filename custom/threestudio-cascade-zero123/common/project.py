"""The project that this extension comes with; copied into another checkout, the extension is without its scripts."""

from pathlib import Path

SCRIPTS = Path(__file__).parents[3] / "scripts"


def has_script(name: str) -> bool:
    """False in another checkout, to which the extension alone was copied."""
    return (SCRIPTS / name).is_file()


def advice(name: str, does: str, otherwise: str) -> str:
    """The end of a message: which script helps, or what to do where there is none."""
    return f"scripts/{name} {does}" if has_script(name) else otherwise
