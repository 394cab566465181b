"""What operator and runner agree on about plain jobs: any image, fed and heard through files beside it."""

from __future__ import annotations

from typing import Final

FOLDER: Final = "/bullpen"
"""Where the files are in every container of a plain pod: an emptyDir of its own."""
FOLDER_VARIABLE: Final = "BULLPEN_FOLDER"
"""Tells the two injected containers another folder; the operator leaves it unset."""

PAYLOAD: Final = "payload"
PROGRESS: Final = "progress"
RESULT: Final = "result"
"""Names of the files."""

RESULT_LIMIT_BYTES: Final = 1024 * 1024
"""Longest result file that is accepted."""
PROGRESS_LIMIT_BYTES: Final = 16 * 1024
"""Longest progress file that is looked at."""

FETCH: Final = "bullpen-fetch"
"""Init container: binds the attempt, writes the payload."""
WATCH: Final = "bullpen-watch"
"""Native sidecar: renews the lock, passes on progress, says what was returned."""
MAIN: Final = "main"
"""The container with the user's image."""
RESERVED_PREFIX: Final = "bullpen-"
"""Names of containers that begin so are the operator's own."""
