"""What tests of several folders use. Rooms, and each imports from those named before it only:

- `rules`: what every test has to keep, whatever it is about: leaks, skips, the lock's rules, growth, the stress.
- `threads`: calls on threads of their own, and threads that are held up, counted or interrupted.
- `tls`: a certificate authority and its certificates.
- `octets`: what is sent and received, without any connection: frames, bodies, protocols from octets to events.
- `peers`: the other end as a test plays it: frame by frame, by a script, as the standard library has it, or a proxy.
- `connections`: connections one end of which is ours at least: pairs of ends, conversations, handlers, clients.
- `programs`: programs in processes of their own: other people's, the command line, gunicorn, an interpreter's end.
- `attacks`: clients that would harm a server, honest ones beside them, and servers that have to bear it.
"""
