"""All attacks. Each module of this folder adds its own; the script and the tests find them here by name."""

from tests.hostile.attacks import bodies, connections, content, processes, protocol, replies
from tests.support.hostile.attack import Attack

MODULES = (bodies, connections, content, processes, protocol, replies)
ATTACKS: dict[str, Attack] = {attack.name: attack for module in MODULES for attack in module.ATTACKS}
