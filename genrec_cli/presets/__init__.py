"""Named settings for `genrec finetune`, one YAML file each, listed by their file names.

A preset's first line is a comment that says what it is for.
"""

from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent

PRESETS: Final = {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"), key=lambda p: p.stem)}
"""Name -> file."""
