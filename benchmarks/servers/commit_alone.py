"""`offer-ledger` without group commit: each single request has its own transaction."""

from api.cli.main import main
from api.server import group_commit

if __name__ == "__main__":
    group_commit.MAX_GROUP_SIZE = 1
    main()
