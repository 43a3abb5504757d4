def app(e, s):
    s('200 OK', [('Content-Length', '1')])
    return [b'x']
