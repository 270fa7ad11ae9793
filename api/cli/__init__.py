"""How is the ledger worked from a shell?"""
