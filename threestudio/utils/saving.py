"""Saving what a system makes under its trial's `save` folder, by upstream's names; every file appears whole."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from PIL import Image, ImageDraw

from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path
from threestudio.utils.image_grid import grayscale_picture, image_grid, rgb_picture


class SaverMixin:
    """`filename` is always relative to the save folder; each method returns the path written."""

    _save_dir: str | None = None

    def set_save_dir(self, save_dir: str) -> None:
        self._save_dir = save_dir

    def get_save_dir(self) -> str:
        if self._save_dir is None:
            raise ValueError("set_save_dir was not called")
        return self._save_dir

    def get_save_path(self, filename: str) -> str:
        path = Path(self.get_save_dir()) / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def get_loggers(self) -> list[Any]:
        """Further Lightning loggers, beside TensorBoard and CSV."""
        return []

    def save_image(self, filename: str, img: Any) -> str:
        """An 8-bit array [h w c], or floats in [0, 1]."""
        path = self.get_save_path(filename)
        array = np.asarray(img) if not hasattr(img, "detach") else img.detach().cpu().numpy()
        if array.dtype != np.uint8:
            array = np.rint(array.clip(0, 1) * 255).astype(np.uint8)
        with atomic_path(path) as partial:
            Image.fromarray(array).save(partial)
        return path

    def save_rgb_image(self, filename: str, img: Any, data_format: str = "HWC", data_range: Any = (0, 1)) -> str:
        return self.save_image(filename, rgb_picture(img, data_format, data_range))

    def save_grayscale_image(self, filename: str, img: Any, data_range: Any = None, cmap: str | None = "jet") -> str:
        return self.save_image(filename, grayscale_picture(img, data_range, cmap))

    def save_image_grid(
        self,
        filename: str,
        imgs: Sequence[Any],
        align: Any = "max",
        name: str | None = None,
        step: int | None = None,
        texts: Sequence[Any] | None = None,
    ) -> str:
        """See `image_grid`; `texts` are written one below the other. `name` and `step` are for upstream's callers."""
        grid = image_grid(imgs, align)
        return self.save_image(filename, grid if texts is None else _with_texts(grid, texts))

    def save_img_sequence(
        self,
        filename: str,
        img_dir: str,
        matcher: str,
        save_format: str = "mp4",
        fps: int = 30,
        name: str | None = None,
        step: int | None = None,
    ) -> str:
        """The images of a folder as mp4 or gif, in the order of the number that `matcher` finds in their names."""
        pattern = re.compile(matcher)
        found = [
            (match, path) for path in (Path(self.get_save_dir()) / img_dir).iterdir() if (match := _in(path, pattern))
        ]
        if not found:
            raise UserError(f"{img_dir}: has no images for {filename}")
        frames: list[Any] = [imageio.imread(path) for _, path in sorted(found, key=lambda pair: int(pair[0][1]))]
        path = self.get_save_path(filename if filename.endswith(save_format) else f"{filename}.{save_format}")
        with atomic_path(path) as partial:
            if save_format == "gif":
                imageio.mimsave(partial, frames, fps=fps)
            else:
                # Players want even sides; 1 keeps imageio from scaling to multiples of 16.
                imageio.mimsave(partial, [_even(frame) for frame in frames], fps=fps, macro_block_size=1)
        return path

    def save_json(self, filename: str, payload: Any) -> str:
        path = self.get_save_path(filename)
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(payload, indent=1) + "\n", encoding="utf-8")
        return path

    def save_file(self, filename: str, src_path: str) -> str:
        path = self.get_save_path(filename)
        with atomic_path(path) as partial:
            shutil.copyfile(src_path, partial)
        return path


def _in(path: Path, pattern: re.Pattern[str]) -> re.Match[str] | None:
    return None if path.name.startswith(".") else pattern.search(path.name)


def _even(frame: np.ndarray) -> np.ndarray:
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _with_texts(grid: np.ndarray, texts: Sequence[Any]) -> np.ndarray:
    image = Image.fromarray(grid)
    draw = ImageDraw.Draw(image)
    for row, text in enumerate(texts):
        at = (2, image.height // len(texts) * row + 1)
        draw.text(at, str(text), (0, 0, 0), stroke_width=1, stroke_fill=(255, 255, 255))
    return np.asarray(image)
