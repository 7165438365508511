"""Measured numbers beside the paper's (Chen et al., ECCV 2024), which are marked as theirs."""

from collections.abc import Mapping, Sequence

from studies.metrics import Score

Numbers = Mapping[str, float]  # metric, number

TABLE_1: Mapping[str, Numbers] = {
    "Zero123-XL": {"PSNR": 18.68, "SSIM": 0.883, "LPIPS": 0.189, "CLIP": 0.758},
    "Magic123": {"PSNR": 18.95, "SSIM": 0.882, "LPIPS": 0.167, "CLIP": 0.778},
    "Cascade-Zero123": {"PSNR": 21.42, "SSIM": 0.911, "LPIPS": 0.125, "CLIP": 0.802},
}
TABLE_2: Mapping[str, Numbers] = {
    "RealFusion": {"LPIPS": 0.197, "CLIP": 0.735},
    "Make-it-3D": {"LPIPS": 0.119, "CLIP": 0.839},
    "Zero-1-to-3": {"LPIPS": 0.068, "CLIP": 0.759},
    "Magic123": {"LPIPS": 0.062, "CLIP": 0.747},
    "Consistent-123": {"LPIPS": 0.056, "CLIP": 0.844},
    "Cascade-Zero123": {"LPIPS": 0.043, "CLIP": 0.916},
}
DIGITS = {"PSNR": 2}  # of the others, three
ARROWS = {"PSNR": "↑", "SSIM": "↑", "LPIPS": "↓", "ST-LPIPS": "↓", "CLIP": "↑"}


def paper_table(
    title: str,
    measured: Mapping[str, Mapping[str, Score]],
    paper: Mapping[str, Numbers],
    notes: Sequence[str] = (),
) -> str:
    """Markdown in the paper's layout: its metrics, then others that were measured; its rows first.

    A metric that the paper does not report is `-` in its rows; below stand `notes`, and why something is n/a.
    """
    theirs = list(next(iter(paper.values()), {}))
    names = theirs + list(dict.fromkeys(name for row in measured.values() for name in row if name not in theirs))
    lines = [f"| {title} | " + " | ".join(f"{name} {ARROWS.get(name, '')}".strip() for name in names) + " |"]
    lines.append("|---" * (1 + len(names)) + "|")
    for method, numbers in paper.items():
        cells = [Score(numbers[name]).text(DIGITS.get(name, 3)) if name in numbers else "-" for name in names]
        lines.append(_row(f"{method} (the paper's number)", cells))
    for method, scores in measured.items():
        cells = [scores[name].text(DIGITS.get(name, 3)) if name in scores else "n/a" for name in names]
        lines.append(_row(f"{method} (measured here)", cells))
    reasons = {name: score.reason for row in measured.values() for name, score in row.items() if score.reason}
    below = [*notes, *(f"{name} n/a: {reason}." for name, reason in reasons.items())]
    return "\n".join(lines) + "\n" + "".join(f"\n{line}\n" for line in below)


def _row(method: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([method, *cells]) + " |"
