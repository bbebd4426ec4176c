"""Reading back arrays that were kept."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from genrec_cli.core.errors import WorkspaceError


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an `.npz` file.

    Raises:
        WorkspaceError: the file is missing or damaged.
    """
    try:
        # Opened here: what is no archive would be left open by numpy.
        with path.open("rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise WorkspaceError(f"{path} is missing") from None
    except (OSError, EOFError, ValueError, TypeError, BadZipFile) as error:
        raise WorkspaceError(f"{path} is damaged: {error}", "make it again") from None
