r"""Leading eigenpairs of the Gauss-Newton matrix: one factorisation that answers thousands of questions.

G = A'A + lambda I has few eigenvalues far above lambda, since a head on frozen features has few directions the data
determine.  With the leading orthonormal eigenvectors v_r (rows of V) and eigenvalues mu_r of A'A,

G^-1 ~ (I - V' diag(mu / (mu + lambda)) V) / lambda.

What is cut off lies between 1/(lambda + mu_R) and 1/lambda and is given the latter: exact in every direction without
data, too uncertain by at most mu_R / lambda in the others.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from desiderata.collect.curvature import GaussNewton
from desiderata.collect.network import Linearisation
from desiderata.errors import DesiderataError


@dataclass(frozen=True)
class LeadingInverse:
    """G^-1 from the leading eigenpairs.

    Attributes:
        basis: V, orthonormal rows, shape (R, P).
        eigenvalues: mu, descending, shape (R,).
        floor: lambda.
    """

    basis: Tensor
    eigenvalues: Tensor
    floor: float

    @classmethod
    def of(cls, curvature: GaussNewton, rank: int = 256, sweeps: int = 2, seed: int = 0) -> Self:
        """Find the pairs by randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4).

        Args:
            curvature: The operator G; float32 serves well and is twice as fast.
            rank: Number R of pairs kept, > 0; all there are when it exceeds n C or P.
            sweeps: Products with G beyond the first, >= 0.
            seed: Fixes the starting block.

        Returns:
            The inverse, in the precision of `curvature`.

        Raises:
            DesiderataError: When `rank` is below 1.
        """
        if rank < 1:
            raise DesiderataError(f"rank is {rank}, but at least one eigenpair is needed: try 256.")
        n_parameters = curvature.linear.network.n_parameters
        width = min(rank + rank // 8 + 8, curvature.p.numel(), n_parameters)
        generator = torch.Generator().manual_seed(seed)
        block = torch.randn(width, n_parameters, generator=generator, dtype=curvature.p.dtype)
        for _ in range(1 + sweeps):
            block = torch.linalg.qr(curvature.product(block, bare=True).mT).Q.mT
        eigenvalues, rotation = torch.linalg.eigh(block @ curvature.product(block, bare=True).mT)
        keep = slice(max(0, width - rank), None)
        basis = rotation[:, keep].mT @ block
        return cls(basis.flip(0), eigenvalues[keep].clamp(min=0).flip(0), curvature.floor)

    @property
    def shrinkage(self) -> Tensor:
        """Return mu / (mu + lambda): how far the data determine each direction, shape (R,)."""
        return self.eigenvalues / (self.eigenvalues + self.floor)

    def solve(self, b: Tensor) -> Tensor:
        """Return about G^-1 b, shape (..., P)."""
        return (b - ((b @ self.basis.mT) * self.shrinkage) @ self.basis) / self.floor

    def features(self, linear: Linearisation) -> Tensor:
        """Return the sensitivity J V' of every logit to every kept direction, shape (n, C, R)."""
        return linear.jvp(self.basis).movedim(0, -1)
