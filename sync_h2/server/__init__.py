"""Servers: `create_server` and its siblings put listening (`accepting`), the threads that handlers run on (`pool`) and
what these are given (`handlers`) together. May import all but `client` and what is above both.
"""
