"""Makes torchvision and timm importable where they are no part of the environment: `make test` puts them into
.oracle. Without its compiled operations torchvision needs one of its modules to be there already."""

import sys
import types
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / ".oracle"))
sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("without compiled operations"))
