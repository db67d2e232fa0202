"""The shell, the server, the command line and the widgets that pages share."""
