"""The actions of the commands, with everything that a command needs beside its options.

A command imports this package only when it runs, so that help and completion start fast. The modules also export the types of
filters (`__all__`): a command makes a filter of its options, and has no other import of them."""
