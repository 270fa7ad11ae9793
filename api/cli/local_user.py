"""Identifies the operating system user that runs a command."""

import getpass
import os

from domain.values import Origin, Source


def cli_origin(reason: str | None = None) -> Origin:
    """Returns the origin that is recorded with everything a command writes. `reason`: why the user runs the command."""
    return Origin(_user(), Source.CLI, reason=reason)


def _user() -> str:
    """Returns the name of the process's user id. USER and LOGNAME are not trusted: anyone can set them."""
    try:
        import pwd
    except ImportError:
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
