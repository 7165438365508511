"""The elevation network's weights: safetensors in half precision, for half the size."""

from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from threestudio.elevation.network import ElevationNetwork
from threestudio.errors import UserError
from threestudio.utils.atomic import atomic_path

BUNDLED = Path(__file__).resolve().parents[2] / "load" / "elevation" / "model.safetensors"


def save_elevation_network(network: ElevationNetwork, path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        save_file({key: value.half().contiguous() for key, value in network.state_dict().items()}, partial)


@lru_cache(maxsize=1)
def load_elevation_network(path: str | Path = BUNDLED) -> ElevationNetwork:
    """In single precision, on the CPU, ready to be asked."""
    network = ElevationNetwork()
    try:
        state = load_file(path)
        network.load_state_dict({key: value.float() for key, value in state.items()})
    except FileNotFoundError:
        raise UserError(f"{path}: not found; say data.default_elevation_deg=<degrees>, or restore the file") from None
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path}: not the elevation network's weights ({' '.join(str(error).split())[:120]})") from None
    return network.eval().requires_grad_(False)
