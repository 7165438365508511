"""What the rows of a table look like: a contact sheet with one object a row."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cascade_zero123.views import eight_bit
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from studies.novel_views.held_out import Batch
from studies.novel_views.methods import COPY, Made
from threestudio.utils.atomic import atomic_path

CELL, MARGIN, HEAD, SIDE, FONT = 128, 4, 88, 44, 12  # pixels
INK = (40, 40, 40)

Column = tuple[str, Float[Tensor, "b _ h w"]]


def save_pictures(path: Path, batch: Batch, parts: Sequence[tuple[str, Mapping[str, str], Made]]) -> None:
    """`parts` hold a model's name, what its methods are called, and their views of the batch."""
    columns: list[Column] = [("Source", batch.source.pictures[:, 0]), ("Truth", batch.target.pictures[:, 0])]
    for model, methods, views in parts:
        for (method, kind), images in views.items():
            if method == COPY or any(images is shown for _, shown in columns):
                continue  # the first column; and a control is beside views of either kind
            name = f"{model}: {methods[method]}" if model else methods[method]
            columns.append((f"{name}; {kind}", images))
    with atomic_path(path) as partial:
        sheet([str(number) for number in batch.numbers], columns).save(partial)


def sheet(rows: Sequence[str], columns: Sequence[Column]) -> Image.Image:
    """Enlarged without smoothing, so that each pixel is seen."""
    pitch = CELL + MARGIN
    picture = Image.new("RGB", (SIDE + len(columns) * pitch, HEAD + len(rows) * pitch), (225, 225, 225))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(FONT)
    for row, name in enumerate(rows):
        draw.text((SIDE // 2, HEAD + row * pitch + CELL // 2), name, fill=INK, font=font, anchor="mm")
    for column, (name, images) in enumerate(columns):
        left = SIDE + column * pitch
        draw.multiline_text((left, HEAD - 4), in_lines(name, draw, font), fill=INK, font=font, anchor="ld", spacing=2)
        for row, image in enumerate(eight_bit(images[:, :3])):
            cell = Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).resize((CELL, CELL), Image.Resampling.NEAREST)
            picture.paste(cell, (left, HEAD + row * pitch))
    return picture


def in_lines(text: str, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Broken between words, to the width of a cell."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and draw.textlength(longer, font=font) <= CELL:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
