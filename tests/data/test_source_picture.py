import numpy as np
import torch
from PIL import Image

import threestudio


def test_the_one_batch_is_the_prepared_picture_and_the_camera_that_took_it(tmp_path):
    rgba = np.zeros((40, 60, 4), dtype=np.uint8)
    rgba[4:36, 2:34] = (255, 0, 0, 255)
    Image.fromarray(rgba).save(tmp_path / "box.png")
    camera = {"default_elevation_deg": 12.0, "default_azimuth_deg": 34.0, "default_camera_distance": 3.8}
    data = threestudio.find("source-picture-datamodule")(
        {"image_path": str(tmp_path / "box.png"), "object_ratio": 0.5, **camera}
    )
    (batch,) = data.test_dataloader()
    _, height, width, _ = batch["rgba"].shape
    inside = batch["rgba"][0, ..., 3] > 0.5
    rows, columns = inside.any(1).nonzero().flatten(), inside.any(0).nonzero().flatten()
    assert height == width
    for found in (rows, columns):
        assert len(found) / height == torch.tensor(0.5)
        assert abs(int(found[0] + found[-1]) - (height - 1)) <= 1, "not centred"
    assert [batch[key].item() for key in ("elevation", "azimuth")] == [12, 34]
    assert torch.isclose(batch["camera_distances"], torch.tensor([3.8])).all()
