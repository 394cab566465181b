"""Running attempts as subprocesses of this machine, with an embedded Redis and triplestore."""
