"""A client: sessions that are opened one by one, and calls as scripts know them from requests, over a pool of them.

Its rooms, each of which may import from those below it alone:

    calls      what scripts call: a client, redirects, many calls at once, mounted adapters
    pool       which connection takes a request, and when one is sent again
    opening    from an address to a connection: `connect`, proxies, TLS
    wire       one request and its answer on a connection, over HTTP/2 and over HTTP/1.1
    messages   requests, responses and their bodies
    options    what is said about a call besides: authentication, cookies, timeouts, trust, the environment
    values     what stands in messages: URLs, origins, fields, status codes, charsets
"""
