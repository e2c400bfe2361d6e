from .metrics import reconstruction_metrics as reconstruction_metrics
from .metrics import ssim as ssim
from .probing import ProbeResult as ProbeResult
from .probing import probe as probe
from .references import reference_rows as reference_rows
from .report import write_report as write_report
from .speed import latency as latency
from .video import write_video as write_video
