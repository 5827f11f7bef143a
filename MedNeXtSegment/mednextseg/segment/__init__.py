"""Automatic segmentation. The package itself can be called: `from mednextseg import segment; segment(volume, geometry, model)`.

Function and package share a name, and Python binds the package to `mednextseg.segment` whenever one of its files is imported; so the
package passes a call on to `find_and_segment.find_and_segment`, whose docstring has the arguments. Nothing is imported before the
first call.
"""

import sys
from importlib import import_module
from types import ModuleType


class _CallablePackage(ModuleType):
    def __call__(self, *args: object, **kwargs: object) -> object:
        return import_module("mednextseg.segment.find_and_segment").find_and_segment(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
