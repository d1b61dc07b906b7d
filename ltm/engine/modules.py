"""Generated modules: written to a cache, imported, and compiled by numba when they are called."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from ltm.engine.compiler import vector

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``LTM_CACHE_DIR``, or the user's cache."""
    named = os.environ.get("LTM_CACHE_DIR")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ltm" / "kernels"


@lru_cache(maxsize=256)
def load(source: str) -> ModuleType:
    """The module of a generated source, compiled code cached on disk. A damaged cache entry is made anew."""
    import numba

    salt = f"{numba.__version__} {vector.processor()} {Path(str(vector.__file__)).read_text()}"
    name = f"k{hashlib.sha256((salt + source).encode()).hexdigest()[:20]}"
    folder = cache_folder() / name
    try:
        return load_from(folder, name, source)
    except OSError as error:
        temporary = Path(tempfile.mkdtemp(prefix="ltm-kernels-"))
        log.warning("kernel cache %s cannot be used (%s); kernels of this process go to %s", folder, error, temporary)
        return load_from(temporary / name, name, source)


def load_from(folder: Path, name: str, source: str) -> ModuleType:
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text() != source:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{os.getpid()}"
        temporary.write_text(source)
        temporary.replace(path)
    spec = importlib.util.spec_from_file_location(f"ltm_kernel_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # numba's cache imports it by name
    spec.loader.exec_module(module)
    return module
