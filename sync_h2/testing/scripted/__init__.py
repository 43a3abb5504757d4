"""The scripted server: `server` has connections, `connection` plays scripts made of `steps`, over a `channel`. Speaks
frames by itself, to be able to break the rules.
"""
