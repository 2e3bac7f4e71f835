"""Muon for weight matrices: momentum, orthogonalised by Newton-Schulz, in float32.

Keller Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024), with the step size of
Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982). `torch.optim.Muon` computes in bfloat16,
which is a hundred times slower on a CPU without it; here equal shapes are also stacked into one product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch

_A, _B, _C = 3.4445, -4.7750, 2.0315  # the quintic's coefficients (Jordan 2024)


class Muon(torch.optim.Optimizer):
    """Muon for two-dimensional parameters.

    Args:
        params: matrices.
        lr: step size, on AdamW's scale (each update's root mean square is 0.2 x lr).
        momentum: of the gradient, Nesterov's.
        weight_decay: decoupled.
    """

    def __init__(
        self, params: Iterable[torch.Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        """Keep the parameters; see the class."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """One update of all parameters that have a gradient; a closure is not called."""
        for group in self.param_groups:
            by_shape: defaultdict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                momentum = group["momentum"]
                momenta = [self._momentum(p, p.grad, momentum) for p in parameters if p.grad is not None]
                update = orthogonalise(torch.stack(momenta))
                scale = 0.2 * max(shape) ** 0.5 * group["lr"]
                for parameter, direction in zip(parameters, update.unbind(), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=scale)

    def _momentum(self, parameter: torch.Tensor, gradient: torch.Tensor, momentum: float) -> torch.Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        buffer: torch.Tensor = state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum)


def orthogonalise(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values end between 0.7 and 1.2.

    Args:
        matrices: (count, rows, columns) float32.
        steps: Newton-Schulz iterations.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    result: torch.Tensor = x.mT if tall else x
    return result
