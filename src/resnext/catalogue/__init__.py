"""Public weights by name: a catalogue of those of ImageNet-1K, and the way from a name to a folder.

Nothing here reads a tensor, so nothing needs torch.
"""

from resnext.catalogue.entries import (
    OUR_NAMES,
    CatalogueEntry,
    catalogue,
    entry_of_file,
    find_entry,
    unknown_name,
)
from resnext.catalogue.errors import DamagedWeights, FetchError, UnknownWeights
from resnext.catalogue.hub import CONFIG_FILE, HUB_WEIGHTS_FILES
from resnext.catalogue.imagenet import imagenet_classes
from resnext.catalogue.references import (
    EXPORTS,
    Located,
    check_reference,
    find_local,
    is_path,
    locate,
    run_of,
    verify_local,
)
from resnext.catalogue.trust import cache_folder, file_digest

__all__ = [
    "CONFIG_FILE",
    "EXPORTS",
    "HUB_WEIGHTS_FILES",
    "OUR_NAMES",
    "CatalogueEntry",
    "DamagedWeights",
    "FetchError",
    "Located",
    "UnknownWeights",
    "cache_folder",
    "catalogue",
    "check_reference",
    "entry_of_file",
    "file_digest",
    "find_entry",
    "find_local",
    "imagenet_classes",
    "is_path",
    "locate",
    "run_of",
    "unknown_name",
    "verify_local",
]
