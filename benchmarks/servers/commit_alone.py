"""What is the service like if every single request has a transaction to itself? `offer-ledger`, with groups of one."""

from api.cli.main import main
from api.server import group_commit

if __name__ == "__main__":
    group_commit.MOST_AT_ONCE = 1
    main()
