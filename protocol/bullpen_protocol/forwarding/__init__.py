"""Log entries to a log server (Socket.IO), for people who watch: best effort, in a process of its own."""
