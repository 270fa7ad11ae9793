"""The actions of the commands, with everything that a command needs beside its options."""
