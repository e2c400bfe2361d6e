"""How many dimensions of an encoding carry something."""

from __future__ import annotations

import torch

from heist_encoders.autoencoders.base import Output

_VAE = 1e-2
"""A VAE's unit is active if its mean's variance over frames exceeds this part of the variance of its noise (Burda et
al. 2016, where the noise of an idle unit has variance 1)."""
_NO_PRIOR = 1e-6
"""The same for an autoencoder without a prior, whose scale is free: dead ReLUs have variance 0."""


class ActiveUnits:
    """Counts the active dimensions over batches of outputs.

    Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2016, section 5.1.
    """

    def __init__(self) -> None:
        self._first = self._total = self._squares = self._noise = torch.zeros((), dtype=torch.float64)
        self._is_vae = False
        self._frames = 0

    def add(self, output: Output) -> None:
        """Take the encodings of one batch (and a VAE's log variances) into the account."""
        encoding = output.encoding.flatten(1).double().cpu()  # (B, units)
        if self._frames == 0:
            self._first = encoding[0]  # variances are of differences to it: no cancellation
        self._total = self._total + (encoding - self._first).sum(0)
        self._squares = self._squares + (encoding - self._first).square().sum(0)
        if output.log_variance is not None:
            self._noise = self._noise + output.log_variance.double().exp().sum(0).cpu()
            self._is_vae = True
        self._frames += len(encoding)

    def count(self) -> int:
        """The number of active units; 0 before the first frame."""
        if self._frames == 0:
            return 0
        variance = self._squares / self._frames - (self._total / self._frames).square()  # (units,)
        return int((variance > (_VAE * self._noise / self._frames if self._is_vae else _NO_PRIOR)).sum())
