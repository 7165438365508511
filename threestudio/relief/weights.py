"""The relief network's weights: safetensors in half precision, for half the size."""

from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from threestudio.errors import UserError
from threestudio.relief.network import ReliefNetwork
from threestudio.utils.atomic import atomic_path

BUNDLED = Path(__file__).resolve().parents[2] / "load" / "relief" / "model.safetensors"


def save_relief_network(network: ReliefNetwork, path: str | Path) -> None:
    with atomic_path(path) as partial:
        save_file({key: value.half().contiguous() for key, value in network.state_dict().items()}, partial)


@lru_cache(maxsize=1)
def load_relief_network(path: str | Path = BUNDLED) -> ReliefNetwork:
    """In single precision, on the CPU, ready to be asked."""
    network = ReliefNetwork()
    try:
        state = load_file(path)
        network.load_state_dict({key: value.float() for key, value in state.items()})
    except FileNotFoundError:
        raise UserError(f"{path}: not found; it holds the relief network, see load/relief/README.md") from None
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path}: not the relief network's weights ({' '.join(str(error).split())[:120]})") from None
    return network.eval().requires_grad_(False)
