"""What engines for firmware share: serial lines as messages, their time, checks of files."""
