"""The command line: one thin file a command over a public function of the same name.

``app`` holds the table of commands and maps errors to exit codes; ``output`` is how commands
talk. Each command's file has one function ``command`` whose signature is its options, in typer's
form; it imports what it runs inside that function, so that ``dawnchorus --help`` stays fast.
"""
