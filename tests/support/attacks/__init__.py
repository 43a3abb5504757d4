"""Who would harm a server, honest clients beside them, and the servers that bear it, in processes of their own."""
