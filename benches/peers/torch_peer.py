"""What a user would write in PyTorch: the generator, its two trainings, and sampling."""

from __future__ import annotations

import copy
import os

import numpy as np
import torch
from molecules import MASS, Frames
from torch import Tensor, nn

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def perceptron(noise: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """SiLU between linear layers."""
    layers: list[nn.Module] = [nn.Linear(noise, width), nn.SiLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class Sampling:
    """Noise, network, a random symmetry operation, the center of mass at the origin."""

    def __init__(
        self, z: np.ndarray, origin: np.ndarray, symmetry: np.ndarray, size: tuple[int, int], how: str
    ) -> None:
        self.atoms = len(z)
        self.network: nn.Module = perceptron(64, *size, 3 * self.atoms)
        if how == "compile":
            self.network = torch.compile(self.network)
        elif how == "inference":
            # What PyTorch offers for the same: a graph with its weights as constants.
            traced = torch.jit.trace(self.network.eval(), torch.randn(8, 64))
            self.network = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        self.origin = torch.tensor(origin, dtype=torch.float32)
        self.symmetry = torch.tensor(symmetry)
        mass = torch.tensor([MASS[int(one)] for one in z])
        self.mass = (mass / mass.sum())[None, :, None]

    @torch.inference_mode()
    def draw(self, count: int) -> np.ndarray:
        """(count, n, 3) in double precision."""
        x = self.origin + self.network(torch.randn(count, 64)).view(count, self.atoms, 3)
        order = self.symmetry[torch.randint(len(self.symmetry), (count,))]
        x = torch.gather(x, 1, order[:, :, None].expand(-1, -1, 3))
        return (x - (x * self.mass).sum(1, keepdim=True)).double().numpy()


class Training:
    """One step of the sliced drift, or of the kernel drift with force alignment in distance space."""

    def __init__(
        self,
        frames: Frames,
        kernel: bool,
        quads: list[list[int]],
        g: np.ndarray | None,
        size: tuple[int, int, int],
    ) -> None:
        single = lambda a: torch.tensor(a, dtype=torch.float32)  # noqa: E731
        self.kernel, self.quads, self.atoms = kernel, quads, len(frames.z)
        width, depth, self.batch = size
        self.positives = 512 if kernel else self.batch
        self.i, self.j = torch.triu_indices(self.atoms, self.atoms, 1)
        centered = frames.R - frames.R.mean(1, keepdims=True)
        self.scale = float(centered.std())
        self.x = single(centered)
        self.y = self.distances(self.x)
        self.mean, self.width = self.y.mean(0), self.y.std(0).clamp_min(0.02)
        values, vectors = np.linalg.eigh(np.cov(self.y.double().numpy().T))
        self.whiten = single(vectors / np.sqrt(np.maximum(values, 0) + 0.03**2))
        self.torsions = [self.torsion(self.x, quad) for quad in quads]
        self.force = None if g is None else single(g)
        some = self.y[:1000]
        self.tau = float(torch.pdist(some).median())
        self.network = perceptron(64, width, depth, 3 * self.atoms)
        self.average = copy.deepcopy(self.network)
        self.adam = torch.optim.Adam(self.network.parameters(), 1e-3, betas=(0.9, 0.999 if kernel else 0.99))
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.adam, 100_000)
        self.loss = self.kernel_loss if kernel else self.sliced_loss
        self.done = 0

    def distances(self, x: Tensor) -> Tensor:
        """All pairs (N, P)."""
        return ((x[:, self.i] - x[:, self.j]).square().sum(-1) + 1e-12).sqrt()

    @staticmethod
    def torsion(x: Tensor, quad: list[int]) -> Tensor:
        """(cos k phi, sin k phi), k = 1 .. 3, (N, 6)."""
        p, q, r, s = (x[:, k] for k in quad)
        a, b, c = q - p, r - q, s - r
        m, n = torch.linalg.cross(a, b), torch.linalg.cross(b, c)
        norm = m.norm(dim=1) * n.norm(dim=1)
        cos = (m * n).sum(1) / norm
        sin = (torch.linalg.cross(m, n) * b).sum(1) / (norm * b.norm(dim=1))
        phi = torch.complex(cos, sin)
        return torch.view_as_real(torch.stack([phi, phi**2, phi**3], 1)).flatten(1)

    def sliced_loss(self, noise: Tensor, index: Tensor) -> Tensor:
        """Sort to sort on every line."""
        x = self.x[0] + (self.network(noise) * self.scale).view(-1, self.atoms, 3)
        ours, data = [self.distances(x) - self.mean], [self.y[index] - self.mean]
        lines = self.whiten @ nn.functional.normalize(torch.randn(len(self.width), 64), dim=0)
        px, py = [ours[0] / self.width, ours[0] @ lines], [data[0] / self.width, data[0] @ lines]
        tx, ty = [self.torsion(x, q) for q in self.quads], [t[index] for t in self.torsions]
        if len(tx) > 1:
            tx, ty = [*tx, torch.cat(tx, 1)], [*ty, torch.cat(ty, 1)]
        for a, b in zip(tx, ty, strict=True):
            lines = nn.functional.normalize(torch.randn(a.shape[1], 24), dim=0)
            px.append(a @ lines)
            py.append(b @ lines)
        x, y = torch.cat(px, 1), torch.cat(py, 1)
        order = x.detach().argsort(0)
        return (x.gather(0, order) - y.sort(0)[0]).square().mean()

    def kernel_loss(self, noise: Tensor, index: Tensor) -> Tensor:
        """Attraction to the data, weighted by the alignment of its forces, repulsion from the batch."""
        x = self.distances((self.network(noise) * self.scale).view(-1, self.atoms, 3))
        with torch.no_grad():
            y, force = self.y[index], self.force[index]
            along = (force * y).sum(1) - x @ force.T
            logits = -torch.cdist(x, y).square() / (2 * self.tau**2)
            toward = (logits + 0.1 * along / along.std(1, keepdim=True)).softmax(1) @ y
            away = (-torch.cdist(x, x).square() / (2 * self.tau**2)).softmax(1) @ x
            target = x + toward - away
        return (x - target).square().sum(1).mean()

    def step(self) -> None:
        """One step of Adam; the sliced drift keeps a moving average of the weights."""
        index = torch.randint(len(self.y), (self.positives,))
        loss = self.loss(torch.randn(self.batch, 64), index)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        self.schedule.step()
        self.done += 1
        if not self.kernel:
            decay = min(0.999, 1 - 1 / self.done)
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(self.average.parameters()), list(self.network.parameters()), 1 - decay
                )
