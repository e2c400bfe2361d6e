"""What did an autoencoder throw away? Probes, reconstruction metrics, speed, pictures and the report.

The names below are imported from their modules on first use, so that importing this package stays light. The functions
``evaluate.evaluate`` and ``usefulness.usefulness`` share their modules' names and are imported from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heist_encoders.lazy import lazy_names

_LAZY = {
    "Usefulness": "usefulness",
    "latency": "speed",
    "reconstruction_metrics": "metrics",
    "reference_rows": "references",
    "ssim": "metrics",
    "write_report": "report",
    "write_video": "video",
}

__all__ = [
    "Usefulness",
    "latency",
    "reconstruction_metrics",
    "reference_rows",
    "ssim",
    "write_report",
    "write_video",
]

if TYPE_CHECKING:
    from heist_encoders.evaluation.metrics import reconstruction_metrics, ssim
    from heist_encoders.evaluation.references import reference_rows
    from heist_encoders.evaluation.report import write_report
    from heist_encoders.evaluation.speed import latency
    from heist_encoders.evaluation.usefulness import Usefulness
    from heist_encoders.evaluation.video import write_video

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
