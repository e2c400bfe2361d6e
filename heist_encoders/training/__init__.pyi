from .config import LossConfig as LossConfig
from .config import TrainConfig as TrainConfig
from .config import default_config as default_config
from .report import EpochReport as EpochReport
from .report import Progress as Progress
from .report import TrainResult as TrainResult
