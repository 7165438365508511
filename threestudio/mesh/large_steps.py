"""Moving all vertices of a mesh without making it rough (Nicolet, Jacobson & Jakob 2021, "Large Steps").

The optimiser does not move the positions v but u = (I + weight L) v, with the combinatorial Laplacian L: what a
gradient asks of one vertex is then shared with those around it. `UniformAdam` is the paper's: Adam with one step length
for all.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from threestudio.mesh.topology import Topology


class SmoothPositions:
    """Positions [vertex 3] as a smooth function of `u`; `weight` is the paper's lambda: how far a pull is shared."""

    def __init__(self, positions: Float[np.ndarray, "vertex 3"], topology: Topology, weight: float) -> None:
        matrix = (sparse.eye_array(topology.vertex_count) + weight * topology.laplacian()).tocsc()
        # It is symmetric and positive definite, which SuperLU is told so that it need not look for pivots.
        options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        self._solve = splu(matrix, **options).solve
        self.u = torch.from_numpy(matrix @ positions)

    def positions(self) -> Float[Tensor, "vertex 3"]:
        return torch.from_numpy(self._solve(self.u.numpy())).float()

    def gradient_of_u(self, gradient: Float[Tensor, "vertex 3"]) -> Float[Tensor, "vertex 3"]:
        """Of what the gradient by the positions is given: the matrix is its own transpose."""
        return torch.from_numpy(self._solve(gradient.double().numpy()))


class UniformAdam:
    """Adam (Kingma & Ba 2015) whose second moment is the largest over all coordinates: directions are kept."""

    def __init__(self, values: Float[Tensor, "vertex 3"], betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.values, self.betas = values, betas
        self.first, self.second, self.steps = torch.zeros_like(values), values.new_zeros(()), 0

    def step(self, gradient: Float[Tensor, "vertex 3"], learning_rate: float) -> None:
        """Moves the values, in place, by about `learning_rate` at the most."""
        self.steps += 1
        beta, gamma = self.betas
        self.first.mul_(beta).add_(gradient, alpha=1 - beta)
        self.second.mul_(gamma).add_(gradient.square().max(), alpha=1 - gamma)
        mean, square = self.first / (1 - beta**self.steps), self.second / (1 - gamma**self.steps)
        self.values.sub_(learning_rate * mean / (square.sqrt() + 1e-12))
