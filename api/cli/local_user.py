"""Who is at the shell?"""

import getpass
import os

from domain.values import Origin, Source


def cli_origin() -> Origin:
    """What a command writes is recorded under the name of the operating system's user."""
    return Origin(_user(), Source.CLI)


def _user() -> str:
    """By the process's user id: what the environment says of it, anyone can set."""
    try:
        import pwd  # noqa: PLC0415 - not on every system
    except ImportError:
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
