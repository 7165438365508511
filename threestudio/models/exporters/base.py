"""What an exporter is: it turns the field into things for the system to save."""

from dataclasses import dataclass
from typing import Any

import threestudio
from threestudio.mesh.reference_view import ReferenceView
from threestudio.mesh.view_colors import RefinedSurface
from threestudio.utils.base import BaseObject


@dataclass
class ExporterOutput:
    """The system saves it by its method `save_<save_type>(save_name, **params)`."""

    save_name: str
    save_type: str
    params: dict[str, Any]


class Exporter(BaseObject):
    """The system sets `reference` where there is a picture to take colours from, and `refined` where it has made the
    surface itself."""

    @dataclass
    class Config(BaseObject.Config):
        save_video: bool = False

    cfg: Config
    reference: ReferenceView | None = None
    refined: RefinedSurface | None = None

    def configure(self, geometry: Any, material: Any, background: Any) -> None:
        self.geometry, self.material, self.background = geometry, material, background

    def __call__(self) -> list[ExporterOutput]:
        raise NotImplementedError


@threestudio.register("dummy-exporter")
class DummyExporter(Exporter):
    """Exports nothing."""

    def __call__(self) -> list[ExporterOutput]:
        return []
