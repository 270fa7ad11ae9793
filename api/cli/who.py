"""Who is at the shell?"""

import getpass

from domain.values import Origin, Source


def cli_origin(partner: str | None) -> Origin:
    """What a command writes is recorded under the name of the operating system's user."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        user = "unknown"
    return Origin(user, Source.CLI, partner)
