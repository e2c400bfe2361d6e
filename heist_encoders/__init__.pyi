from . import autoencoders as autoencoders
from . import data as data
from . import envs as envs
from . import evaluation as evaluation
from . import policies as policies
from . import rllib as rllib
from . import training as training
from . import tuning as tuning
from . import zoo as zoo
from .data.dataset import Dataset as Dataset
from .data.dataset import open_dataset as open_dataset
from .data.generate import generate as generate
from .data.manifest import DatasetSpec as DatasetSpec
from .data.stream import FrameStream as FrameStream
from .data.stream import stream as stream
from .envs.registration import register_encoder_env as register_encoder_env
from .evaluation.evaluate import evaluate as evaluate
from .policies.artifact import load_policy as load_policy
from .policies.hub import push_to_hub as push_to_hub
from .training.train import train as train
from .zoo.encoder import Encoder as Encoder
from .zoo.encoder import load_encoder as load_encoder

__version__: str
