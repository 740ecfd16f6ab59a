"""Weights: where they lie, how they are read, and how they match a network."""

from resnext.weights.adding import add_weights
from resnext.weights.conversion import convert_network
from resnext.weights.errors import WeightsError
from resnext.weights.hub_folder import load_network, read_contract, replace_contract, write_hub_folder
from resnext.weights.hub_network import HubNetwork, create_network
from resnext.weights.matching import WeightsMatch, load_tensors, match_tensors
from resnext.weights.places import CONFIG_FILE, WEIGHTS_FILE, explain_unfinished, weights_digest, weights_file
from resnext.weights.pretrained import PretrainedWeights
from resnext.weights.sending import SendError
from resnext.weights.tensor_files import read_tensors

__all__ = [
    "CONFIG_FILE",
    "WEIGHTS_FILE",
    "HubNetwork",
    "PretrainedWeights",
    "SendError",
    "WeightsError",
    "WeightsMatch",
    "add_weights",
    "convert_network",
    "create_network",
    "explain_unfinished",
    "load_network",
    "load_tensors",
    "match_tensors",
    "read_contract",
    "read_tensors",
    "replace_contract",
    "weights_digest",
    "weights_file",
    "write_hub_folder",
]
