"""All attacks. Each module of this folder adds its own; the script and the tests find them here by name."""

from tests.hostile.attacks import flood, replies
from tests.support.hostile.attack import Attack

ATTACKS: dict[str, Attack] = {attack.name: attack for module in (flood, replies) for attack in module.ATTACKS}
