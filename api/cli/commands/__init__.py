"""The commands with their arguments, options and help texts; a command imports its action only when it runs."""
