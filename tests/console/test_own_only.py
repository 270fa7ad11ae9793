"""Does a partner see nothing of another one's, and a publisher no more than it may?"""

from tests.everything import OTHER
from tests.single_requests import merchant_key

FOREIGN = merchant_key("HL-1", partner=OTHER)
