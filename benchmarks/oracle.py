"""Makes torchvision and timm importable from .oracle, where `make test` puts them.

Without its compiled operations torchvision needs a stand-in for one of its modules.
"""

import sys
import types
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / ".oracle"))
sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("without compiled operations"))
