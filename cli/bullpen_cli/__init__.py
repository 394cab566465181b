"""The `bullpen` command: the one place where operator, runner and processors meet."""
