"""The command line by subject. What a command needs is imported when it is asked for."""
