"""The real servers that tests talk to: started on free loopback ports, stopped by process id."""
