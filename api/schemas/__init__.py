"""What do requests and replies look like?"""
