"""From frames to a sampler: fit, equilibrate, train; and samples against a reference."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Any

from . import _arguments
from ._arguments import StrPath
from ._call import Text, call
from ._handle import Handle, borrow
from ._handle import keepers as keepers_of
from .dataset import Dataset
from .potential import Potential
from .progress import Listener, ProgressFunction
from .sampler import Sampler


def fit(
    dataset: Dataset,
    *,
    frames: int | None = None,
    sigma: float | None = None,
    ridge: float | None = None,
    memory_gb: float | None = None,
    plain: bool | None = None,
    progress: ProgressFunction | bool | None = None,
) -> Potential:
    """A force field fitted to the forces of a trajectory (sGDML, in closed form); `info()["fit"]` has its
    errors.

    Args:
        dataset: Frames with forces; energies are used where they are there.
        frames: How many of them to fit.
        sigma: Length of the kernel; chosen on frames held out where None.
        ridge: Regularization; chosen likewise.
        memory_gb: Most memory of the fit.
        plain: One weight for all distances, as in sGDML, whose own predictor then reads the file; the errors
            are larger.

    Raises:
        InvalidError: The frames have no forces.
        UnsupportedError: The library is the sampler-only one.
    """
    settings = _arguments.settings(frames=frames, sigma=sigma, ridge=ridge, memory_gb=memory_gb, plain=plain)
    handle, listener = Handle("potential", "bzd_potential_free"), Listener(progress)
    place = ctypes.byref(handle.pointer)
    try:
        with borrow(dataset, "dataset") as data:
            call("bzd_fit", data, settings, listener.callback, None, place, keepers=(listener,))
    finally:
        listener.close()
    return Potential(handle)


@dataclass(frozen=True)
class Pool:
    """Equilibrated states.

    Attributes:
        states: The states, with energies and forces.
        report: What the Monte Carlo run found: R-hat, effective sample sizes, acceptance, evaluations.
    """

    states: Dataset
    report: dict[str, Any]


def equilibrate(
    dataset: Dataset,
    potential: Potential,
    *,
    temperature: float,
    frames: int | None = None,
    chains: int | None = None,
    seed: int | None = None,
    effective: float | None = None,
    r_hat: float | None = None,
    ladder: str | None = None,
    hottest: float | None = None,
    leapfrog: int | None = None,
    time_step: float | None = None,
    warmup: int | None = None,
    most_evaluations: int | None = None,
    accept_unconverged: bool | None = None,
    check_bonds: bool | None = None,
    accept_fit: bool | None = None,
    checkpoint: StrPath | None = None,
    progress: ProgressFunction | bool | None = None,
) -> Pool:
    """States equilibrated with a potential, by Monte Carlo chains from the frames of a trajectory.

    Args:
        dataset: Where the chains start; its own distribution is forgotten.
        potential: Exact, or a fit, which is refused where its errors are too large.
        temperature: Kelvin.
        frames: States wanted.
        chains: Chains side by side.
        seed: Of everything random.
        effective: Least effective sample size of the energy and every dihedral.
        r_hat: Largest split-R-hat that counts as converged.
        ladder: "auto", "on" or "off": a ladder of temperatures for slow dihedrals.
        hottest: Its highest temperature over `temperature`.
        leapfrog: Mean steps of a proposal.
        time_step: In fs at the start; the warm-up finds its own.
        warmup: Iterations of it.
        most_evaluations: Limit of the frames evaluated.
        accept_unconverged: Take the states all the same; the report says so.
        check_bonds: Reject states with a broken bond.
        accept_fit: Go on with a fit that would be refused.
        checkpoint: A file where what is done is kept until the states are there: after an exception, Ctrl-C
            or a kill the same call goes on, with a potential of the same identity.

    Raises:
        DataError: No convergence within the limit, or a fit that is refused.
    """
    settings = _arguments.settings(
        temperature=_arguments.kelvin(temperature),
        frames=frames,
        chains=chains,
        seed=seed,
        effective=effective,
        r_hat=r_hat,
        ladder=ladder,
        hottest=hottest,
        leapfrog=leapfrog,
        time_step=time_step,
        warmup=warmup,
        most_evaluations=most_evaluations,
        accept_unconverged=accept_unconverged,
        check_bonds=check_bonds,
        accept_fit=accept_fit,
        checkpoint=None if checkpoint is None else os.fsdecode(checkpoint),
    )
    handle, listener, report = Handle("dataset", "bzd_dataset_free"), Listener(progress), Text()
    place = ctypes.byref(handle.pointer)
    keepers = (*keepers_of(potential), listener)
    try:
        with borrow(dataset, "dataset") as data, borrow(potential, "potential", exclusive=True) as field:
            call(
                "bzd_equilibrate",
                data,
                field,
                settings,
                listener.callback,
                None,
                place,
                report.place,
                keepers=keepers,
            )
    finally:
        listener.close()
    return Pool(Dataset(handle), report.json())


def train(
    dataset: Dataset,
    *,
    temperature: float | None = None,
    method: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    batch: int | None = None,
    positives: int | None = None,
    learning_rate: float | None = None,
    noise: int | None = None,
    width: int | None = None,
    depth: int | None = None,
    lines: int | None = None,
    torsion_lines: int | None = None,
    size_weight: float | None = None,
    omega: float | None = None,
    gamma: float | None = None,
    tau: float | None = None,
    projection: str | None = None,
    device: str | None = None,
    feature_cache: StrPath | None = None,
    progress: ProgressFunction | bool | None = None,
) -> Sampler:
    """A sampler trained on frames, better: on the states of `equilibrate`.

    Args:
        dataset: The frames; the sampler learns their distribution.
        temperature: Kelvin of them, recorded in the sampler.
        method: "sliced" (the default), or "drift", "fi", "fk", "fi+fk".
        steps: Of the optimizer.
        seed: Of weights, noise and batches.
        batch: Generated samples of a step.
        positives: Frames of a step (kernel methods).
        learning_rate: At the start; it falls to 0 along a cosine.
        noise: Latent dimension.
        width: Units of each hidden layer.
        depth: Hidden layers.
        lines: Random lines of whitened distances a step (sliced).
        torsion_lines: Random lines of each rotatable bond a step (sliced).
        size_weight: Weight of the whitened distances' length beside the lines, in lines (sliced); None for 0.
            On equilibrated states the command line's `train --debias fit` takes 0.15 and 15,000 steps, and
            then sets the amplitude of the noise by the samples' energies, which is not to be had here.
        omega: Force interpolation weight (fi).
        gamma: Force alignment strength (fk).
        tau: Bandwidth (kernel methods).
        projection: "exact" or "naive" feature forces (fi, fk).
        device: "auto", "cpu" or "cuda:0".
        feature_cache: Folder where the feature-space forces of fi and fk are kept for the next training on
            the same frames and forces; no file is written where None.

    Raises:
        UnsupportedError: The library is the sampler-only one.
    """
    settings = _arguments.settings(
        temperature=None if temperature is None else _arguments.kelvin(temperature),
        method=method,
        steps=steps,
        seed=seed,
        batch=batch,
        positives=positives,
        learning_rate=learning_rate,
        noise=noise,
        width=width,
        depth=depth,
        lines=lines,
        torsion_lines=torsion_lines,
        size_weight=size_weight,
        omega=omega,
        gamma=gamma,
        tau=tau,
        projection=projection,
        device=device,
        feature_cache=None if feature_cache is None else os.fsdecode(feature_cache),
    )
    handle, listener = Handle("sampler", "bzd_sampler_free"), Listener(progress)
    place = ctypes.byref(handle.pointer)
    try:
        with borrow(dataset, "dataset") as data:
            call("bzd_train", data, settings, listener.callback, None, place, keepers=(listener,))
    finally:
        listener.close()
    return Sampler(handle)


def evaluate(samples: Dataset, reference: Dataset) -> dict[str, Any]:
    """Compares samples with a reference: the figures of `boltzdrift evaluate --json`, each beside the same
    figure between two halves of the reference (`floor_...`).

    Raises:
        InvalidError: They are of different molecules.
    """
    text = Text()
    with borrow(samples, "dataset") as first, borrow(reference, "dataset") as second:
        call("bzd_evaluate", first, second, text.place)
    return text.json()
