"""Networks as torch modules: blocks, attentions, shortcuts, stems and the `Network` they make."""

from resnext.models.folding import fold_batch_norms
from resnext.models.forms import convert_form
from resnext.models.network import Network, create

__all__ = ["Network", "convert_form", "create", "fold_batch_norms"]
