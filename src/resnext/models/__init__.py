"""Networks as torch modules: blocks, attentions, shortcuts, stems, the `Network` they make, feature maps."""

from resnext.models.familiarity_scores import check_bank, familiarity, make_bank
from resnext.models.folding import fold_batch_norms
from resnext.models.forms import convert_form
from resnext.models.network import Network, create
from resnext.models.pyramid import FeatureInfo, FeatureMap, FeaturePyramid, feature_maps

__all__ = [
    "FeatureInfo",
    "FeatureMap",
    "FeaturePyramid",
    "Network",
    "check_bank",
    "convert_form",
    "create",
    "familiarity",
    "feature_maps",
    "fold_batch_norms",
    "make_bank",
]
