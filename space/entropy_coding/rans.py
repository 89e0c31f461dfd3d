"""The rANS coder of CompressAI, a compiled module, without the rest of that package.

Importing CompressAI imports torch, torchvision and more, which takes seconds.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType

MODULE = "compressai.ans"


def _load() -> ModuleType:
    """Load the module by its own name, so that CompressAI uses the same one."""
    if MODULE not in sys.modules:
        package = find_spec(MODULE.partition(".")[0])
        spec = package and PathFinder.find_spec(MODULE, package.submodule_search_locations)
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError(f"no module named {MODULE!r}", name=MODULE)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[MODULE] = module
    return sys.modules[MODULE]


_module = _load()
BufferedRansEncoder = _module.BufferedRansEncoder
RansDecoder = _module.RansDecoder
