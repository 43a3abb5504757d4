"""Looking into a session and its streams: figures, states, a dump, a trace of frames, and the socket."""
