"""Files of a ledger on SQLite. Only their owner may read them, whatever the umask is."""

import logging
import os
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

PRIVATE_MODE = 0o600
OTHER_USERS = 0o077
LEASES_SUFFIX = "-leases"
WAL_SUFFIXES = ("-wal", "-shm")
BESIDE_SUFFIXES = (*WAL_SUFFIXES, LEASES_SUFFIX, *(LEASES_SUFFIX + suffix for suffix in WAL_SUFFIXES))
"""The files of a ledger beside its database. The key of the console is not among them."""

_logger = logging.getLogger("offer_ledger")


def make_private(database: str) -> None:
    """Creates a missing database file with mode 600, and gives this mode to existing files of the database.

    SQLite creates its other files with the mode of the database. Earlier versions of this program used the umask."""
    file = Path(database).resolve()
    # SQLite reports files that cannot be created. Closing a descriptor of an existing file would release SQLite's locks.
    with suppress(OSError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE_MODE))
        if file.name.endswith(LEASES_SUFFIX):
            keep_owner(file.with_name(file.name.removesuffix(LEASES_SUFFIX)).stat(), file)
    for suffix in ("", *BESIDE_SUFFIXES):
        with suppress(FileNotFoundError):
            _restrict(file.with_name(file.name + suffix))


def keep_owner(ledger: os.stat_result, file: Path) -> None:
    """Gives a new file the owner of the ledger: root may run a command on a ledger that another user serves.

    SQLite does the same with its own files."""
    if (ledger.st_uid, ledger.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.chown(file, ledger.st_uid, ledger.st_gid)


def file_identity(database: str | Path) -> tuple[int, int] | None:
    """Returns the device and the number of the file that has this name now; None if there is none."""
    with suppress(OSError):
        state = Path(database).stat()
        return state.st_dev, state.st_ino
    return None


def _restrict(file: Path) -> None:
    mode = S_IMODE(file.stat().st_mode)
    if not mode & OTHER_USERS:
        return
    try:
        file.chmod(PRIVATE_MODE)
    except OSError as error:
        _logger.warning("other users may be able to read %s, and its mode can't be changed: %s", file, error.strerror)
    else:
        _logger.warning("changed the mode of %s from %o to %o", file, mode, PRIVATE_MODE)


def store_durably(path: Path) -> None:
    """Stores a file, or the names of a folder, durably, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
