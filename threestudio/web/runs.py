"""From a job to the command of its run, and what people may ask of a run over a network.

A server's user chooses numbers and words, never files or addresses: those of the picture, the results and the models
are the server's own, and nothing is downloaded because somebody asked for it.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import threestudio
from threestudio.elevation.setting import AUTO, KEY
from threestudio.errors import UserError, nearest_name
from threestudio.extensions import load_extensions
from threestudio.picture.further_pictures import LIST_FILE
from threestudio.utils.config import load_config, parse_structured
from threestudio.utils.named_weights import named_weights
from threestudio.web.jobs import Job, JobStore, Task

ROOT = Path(__file__).resolve().parents[2]
OFFERED = ("cascade-zero123", "zero123", "cascade-zero123-xl", "cascade-zero123-xl-low-memory")
FORMATS = "glb+obj+stl+ply"
WATCH_SECONDS = 2
MOST_SETTINGS, LONGEST_SETTING = 50, 500
SETTING = re.compile(r"[a-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*=[^\n]*")
ALLOWED = ("data.", "system.", "trainer.", "seed")
# Whatever names a file, a folder, an address or a part of the program, by the end of its key.
FILES, PARTS = "path|pictures|dir|weights|config|cache|save_name|default_root", "_type|loggers|plugins|devices"
DECIDED = re.compile(rf"({FILES}|{PARTS})(\..*)?$")
EXPORT = "system.exporter."


class Runs:
    """`outputs` holds the store's folder; `configs` are files by their names."""

    def __init__(self, store: JobStore, configs: Path = ROOT / "configs", extra: Sequence[str] = ()) -> None:
        self.store, self.configs, self.extra = store, configs, tuple(extra)
        load_extensions(ROOT / "custom")

    def offered(self) -> list[str]:
        """The configs whose weights are on this machine."""
        return [name for name in OFFERED if (self.configs / f"{name}.yaml").is_file() and self._has_weights(name)]

    def command(self, job: Job, place: Path) -> list[str]:
        """launch.py on the job's folder as its trial folder; it goes on from a checkpoint, where there is one."""
        mode = ["--export"] if job.task == Task.EXPORT else ["--train"]
        settings = [*self.extra, *own_settings(self.store, job), *resumed(place)]
        exported = job.export if job.task == Task.EXPORT else ()
        launch = [sys.executable, "-u", str(ROOT / "launch.py"), "--config", str(self.config(job.config)), *mode]
        return [*launch, f"system.exporter.fmt={FORMATS}", *job.settings, *exported, *settings]

    def config(self, name: str) -> Path:
        if name not in self.offered():
            raise UserError(f"config {name:.80}: not offered here; {nearest_name(name, self.offered())}")
        return self.configs / f"{name}.yaml"

    def checked(self, config: str, settings: Sequence[str]) -> Any:
        """The whole config with these settings, or UserError in one line."""
        refuse_settings(settings, ALLOWED)
        arguments, path = [*self.extra, *settings], str(self.config(config))
        cfg = load_config(path, cli_args=arguments)
        found = [f"data.{KEY}=0"] if cfg.data.get(KEY) == AUTO else []
        refuse_wrong(load_config(path, cli_args=[*arguments, *found]))
        return cfg

    def _has_weights(self, name: str) -> bool:
        try:
            guidance = load_config(str(self.configs / f"{name}.yaml")).system.get("guidance", {})
            named = str(named_weights(guidance)["base"]["weights"])
        except (UserError, AttributeError, KeyError):
            return False
        return (ROOT / named).exists()


def refuse_wrong(cfg: Any) -> None:
    """Every block's keys and values, as the run itself would refuse them in its first seconds."""
    threestudio.find(cfg.data_type)(cfg.data)
    system = threestudio.find(cfg.system_type)
    parsed = parse_structured(system.Config, cfg.system)
    for key in cfg.system:
        component = parsed.get(f"{key}_type")
        if component and hasattr(threestudio.find(component), "Config"):
            parse_structured(threestudio.find(component).Config, cfg.system[key])


def own_settings(store: JobStore, job: Job) -> list[str]:
    return [
        f"data.image_path={store.picture(job)}",
        *(f"data.pictures={cameras}" for cameras in store.place(job).glob(LIST_FILE)),
        *(f"exp_root_dir={store.folder.parent}", f"name={store.folder.name}", f"tag={job.id}"),
        *("use_timestamp=false", "export_after_train=true", f"watch_seconds={WATCH_SECONDS}"),
    ]


def resumed(place: Path) -> list[str]:
    last = place / "ckpts" / "last.ckpt"
    written = [path for path in last.parent.glob("epoch*.ckpt")]
    newest = max(
        [*written, *([last] if last.is_file() else [])], key=lambda path: path.stat().st_mtime_ns, default=None
    )
    return [] if newest is None else [f"resume={newest}"]


def refuse_settings(settings: Sequence[str], allowed: Sequence[str]) -> None:
    if len(settings) > MOST_SETTINGS:
        raise UserError(f"{len(settings)} settings; at most {MOST_SETTINGS} are taken")
    for setting in settings:
        key = setting.partition("=")[0]
        if len(setting) > LONGEST_SETTING or not SETTING.fullmatch(setting):
            raise UserError(f"set={setting:.80}: expected key=value in at most {LONGEST_SETTING} characters")
        if not any(key == name or (name.endswith(".") and key.startswith(name)) for name in allowed):
            raise UserError(f"{key}: not for a server's users to set; {', '.join(f'{name}*' for name in allowed)} are")
        if DECIDED.search(key) or "${" in setting or "hub:" in setting:
            raise UserError(f"{key}: names files or parts of the program, which the server decides itself")
