"""What did an autoencoder throw away? Probes, reconstruction metrics, speed, pictures and the report.

The names below are imported from their modules on first use, so that importing this package stays light. The function
``evaluate.evaluate`` shares its module's name and is imported from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heist_encoders.lazy import lazy_names

_LAZY = {
    "ProbeResult": "probing",
    "latency": "speed",
    "probe": "probing",
    "reconstruction_metrics": "metrics",
    "reference_rows": "references",
    "ssim": "metrics",
    "write_report": "report",
    "write_video": "video",
}

__all__ = [
    "ProbeResult",
    "latency",
    "probe",
    "reconstruction_metrics",
    "reference_rows",
    "ssim",
    "write_report",
    "write_video",
]

if TYPE_CHECKING:
    from heist_encoders.evaluation.metrics import reconstruction_metrics, ssim
    from heist_encoders.evaluation.probing import ProbeResult, probe
    from heist_encoders.evaluation.references import reference_rows
    from heist_encoders.evaluation.report import write_report
    from heist_encoders.evaluation.speed import latency
    from heist_encoders.evaluation.video import write_video

__getattr__, __dir__ = lazy_names(__name__, _LAZY)
