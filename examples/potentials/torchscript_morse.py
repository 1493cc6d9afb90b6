"""A potential in PyTorch, exported as TorchScript: Morse bonds between all neighbors in a chain of atoms.

    python examples/potentials/torchscript_morse.py morse.pt
    boltzdrift label chain.xyz -o labelled.npz --potential torchscript:morse.pt

PyTorch is needed to write the file, not to run it. Forces come from libtorch's autograd.
"""

import sys

import torch


class Morse(torch.nn.Module):
    """All neighbors in a chain, in kcal/mol and angstrom."""

    def forward(self, species: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        r = torch.linalg.norm(positions[:, 1:] - positions[:, :-1], dim=-1)
        return (110.0 * (1.0 - torch.exp(-2.2 * (r - 0.96))) ** 2).sum(dim=1)


if __name__ == "__main__":
    torch.jit.script(Morse()).save(sys.argv[1])
