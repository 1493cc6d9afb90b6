"""SevenNet for many Atoms at once: a `batch` function for CalculatorPotential.

    potential = CalculatorPotential(None, batch=sevennet_batch("7net-0"), largest_batch=64, name="SevenNet-0")

One graph of all frames, from the parts that SevenNet's own calculator and its torch-sim model are made of.
The numbers are those of the calculator up to the rounding of single precision, which depends on the frames
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from ase import Atoms
from sevenn import _keys as keys
from sevenn.atom_graph_data import AtomGraphData
from sevenn.train.dataload import unlabeled_atoms_to_graph
from sevenn.util import load_checkpoint
from torch_geometric.loader.dataloader import Collater

Floats = npt.NDArray[np.float64]


def sevennet_batch(model: str, device: str = "cpu") -> Callable[[Sequence[Atoms]], tuple[Floats, Floats]]:
    """Energies (frames) in eV and forces (frames, atoms, 3) in eV/angstrom of Atoms with equally many atoms.

    Args:
        model: A checkpoint, or a name that SevenNet knows, for example "7net-0".
        device: "cpu" or "cuda".
    """
    checkpoint = load_checkpoint(model)
    network = checkpoint.build_model()
    network.set_is_batch_data(True)
    network.to(device).eval()
    cutoff = checkpoint.config[keys.CUTOFF]
    together = Collater([], follow_batch=None, exclude_keys=None)

    def batch(frames: Sequence[Atoms]) -> tuple[Floats, Floats]:
        graphs = [
            AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(atoms, cutoff, with_shift=False))
            for atoms in frames
        ]
        output = network(together(graphs).to(torch.device(device)))
        energies = output[keys.PRED_TOTAL_ENERGY].detach().cpu().numpy()
        forces = output[keys.PRED_FORCE].detach().cpu().numpy()
        return (
            energies.astype(np.float64).reshape(len(frames)),
            forces.astype(np.float64).reshape(len(frames), -1, 3),
        )

    return batch
