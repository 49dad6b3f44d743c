"""Where metrics are served: the pages, and the server that has a thread and sockets of its own."""
