"""The overview shows the mesh of the GLB file, from the side that its caption says."""

import numpy as np
import pytest
import torch
from analytic_field import AnalyticGeometry, AnalyticMaterial, position_color, sphere
from PIL import Image

from threestudio.mesh.files import write_glb
from threestudio.mesh.sheet import CELL, MARGIN, render_glb, save_contact_sheet
from threestudio.models.exporters.mesh_exporter import MeshExporter


@pytest.fixture(scope="module")
def glb(tmp_path_factory):
    field = AnalyticGeometry(sphere(0.5))
    exporter = MeshExporter(
        {"max_faces": 3000}, geometry=field, material=AnalyticMaterial(position_color), background=0
    )
    return write_glb(tmp_path_factory.mktemp("glb") / "model.glb", exporter.textured(exporter.surface()))[0]


@pytest.mark.parametrize(
    ("elevation_deg", "azimuth_deg", "seen"),
    [(0, 0, (0.5, 0, 0)), (0, 90, (0, 0.5, 0)), (0, 180, (-0.5, 0, 0)), (0, 270, (0, -0.5, 0)), (90, 0, (0, 0, 0.5))],
)
def test_each_camera_sees_the_side_it_looks_at(glb, elevation_deg, azimuth_deg, seen):
    """Through GLB's y-up axes and back: the middle pixel shows the field's colour at the point nearest the camera."""
    (rendering,) = render_glb(glb, [elevation_deg], [azimuth_deg], 3.8, 20.0, 63)
    expected = position_color(torch.tensor([seen], dtype=torch.float32))[0].numpy()
    assert np.allclose(rendering[31, 31, :3] / 255.0, expected, atol=0.03)
    assert rendering[31, 31, 3] == 255
    assert rendering[0, 0, 3] == 0


def test_the_sheet_has_a_row_of_inputs_two_of_the_mesh_and_two_of_clay_on_white(glb, tmp_path):
    prompts = [(f"view {number}", np.full((32, 32, 3), 60 * number, dtype=np.uint8)) for number in range(3)]
    save_contact_sheet(tmp_path / "sheet.png", glb, np.zeros((16, 16, 4)), prompts)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert (sheet[:MARGIN] == 255).all()
    assert sheet.shape[1] > 4 * CELL
    assert 5 * CELL < sheet.shape[0] < 6 * CELL
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_pictures_are_fitted_without_stretching(glb, tmp_path):
    save_contact_sheet(tmp_path / "sheet.png", glb, np.zeros((10, 40, 3)))
    dark = (np.asarray(Image.open(tmp_path / "sheet.png"))[40 : CELL + 30, MARGIN : MARGIN + CELL] < 10).all(axis=-1)
    rows, columns = np.nonzero(dark)
    assert np.ptp(columns) + 1 == CELL
    assert np.ptp(rows) + 1 == CELL // 4


def test_no_source_and_no_prompts_leave_the_mesh_alone(glb, tmp_path):
    save_contact_sheet(tmp_path / "sheet.png", glb)
    assert Image.open(tmp_path / "sheet.png").height < 5 * CELL
