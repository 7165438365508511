import json

import numpy as np
import pytest
import torch
from cascade_zero123.common.errors import UserError
from cascade_zero123.training.fitting_views import views_for
from cascade_zero123.zero123.model import Settings

SMALL = Settings(image_size=8, fovy_deg=20.0, camera_distance=3.8)


def packed(folder, **meta):
    np.save(folder / "images.npy", np.full((1, 5, 32, 32, 4), 255, np.uint8))
    np.save(folder / "cameras.npy", np.broadcast_to(np.eye(3, 4, dtype=np.float32), (1, 5, 3, 4)))
    if meta:
        (folder / "meta.json").write_text(json.dumps({"layout": "cascade", **meta}))
    return str(folder)


def test_views_of_another_size_are_resized_to_the_model_s(tmp_path):
    views = views_for(SMALL, packed(tmp_path), None)
    assert views.rgba(torch.tensor([0]), torch.tensor([[1]])).shape == (1, 1, 4, 8, 8)


def test_another_size_cannot_be_asked_for(tmp_path):
    with pytest.raises(UserError, match="data.image_size: 32, but the model's pictures have 8 pixels; leave it out"):
        views_for(SMALL, packed(tmp_path), 32)


def test_views_of_another_camera_are_refused_with_what_to_render(tmp_path):
    place = packed(tmp_path, fovy_deg=49.13, distance=[1.5, 2.2])
    with pytest.raises(UserError, match="field of view of 49.13 degrees, the model's is 20; render with --fovy-deg 20"):
        views_for(SMALL, place, None)
    packed(tmp_path, fovy_deg=20.0, distance=[1.5, 2.2])
    with pytest.raises(UserError, match="distance of 1.5 to 2.2, the model's is 3.8; .* --distance that covers 3.8"):
        views_for(SMALL, place, None)
