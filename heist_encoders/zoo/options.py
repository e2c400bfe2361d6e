"""How an encoder computes: the options that every function and command with an encoder takes."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from heist_encoders.config import Config, one_of

BACKENDS: Final = ("auto", "torch", "openvino")
PRECISIONS: Final = ("float32", "bfloat16")

Threads = Annotated[int | None, Field(ge=1)]


class EncoderOptions(Config):
    """Where and how an encoder computes.

    ``load_encoder``, ``gymnasium.make``, ``ppo_config`` and the command line take these as keywords of the same names.
    """

    device: str = "auto"
    """where torch encodes: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` (CUDA if there is one)"""

    backend: Annotated[str, one_of(BACKENDS)] = "auto"
    """``torch``, ``openvino``, or ``auto``: on CPUs OpenVINO where it is installed, else torch. They differ in the last
    digits of an encoding: name one where runs must agree to the bit"""

    precision: Annotated[str, one_of(PRECISIONS)] = "float32"
    """of the encoder's arithmetic: ``float32``, or ``bfloat16``: 3 to 6 times as fast where the processor has AMX,
    encodings within 1%. Encodings are float32 always"""

    threads: Threads = None
    """CPU threads of OpenVINO; None: ``OMP_NUM_THREADS``, else as many as torch uses"""
