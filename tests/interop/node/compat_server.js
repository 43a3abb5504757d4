// A server for the interop tests, written with Node's compatibility API. One argument, JSON: {port, certfile, keyfile};
// without the files it speaks h2c. tests/support/connections/compat_app.py answers the same routes with sync_h2's.
'use strict';

const fs = require('fs');
const http2 = require('http2');

const options = JSON.parse(process.argv[2]);

function answerJSON(response, value) {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// Whether each of the calls throws.
const refused = (calls) => calls.map((call) => {
  try {
    call();
    return false;
  } catch {
    return true;
  }
});

const routes = {
  async describe(request, response) {
    const body = await read(request);
    answerJSON(response, {
      method: request.method,
      url: request.url,
      scheme: request.scheme,
      authority: request.authority === request.headers[':authority'],
      version: [request.httpVersion, request.httpVersionMajor, request.httpVersionMinor],
      headers: Object.entries(request.headers).filter(([name]) => name.startsWith('x-') || name === 'cookie'),
      rawHeaders: request.rawHeaders.filter((_, index, all) => all[index - index % 2].startsWith('x-')),
      trailers: Object.entries(request.trailers),
      rawTrailers: request.rawTrailers,
      aborted: request.aborted,
      length: body.length,
    });
  },

  async echo(request, response) {
    response.setHeader('content-type', request.headers['content-type'] || 'application/octet-stream');
    for await (const chunk of request) response.write(chunk);
    response.end();
  },

  headers(request, response) {
    response.setHeader('X-Mixed', 'Case');
    response.setHeader('x-number', 5);
    response.setHeader('x-list', ['a', 'b']);
    response.setHeader('x-removed', 'x');
    response.removeHeader('X-Removed');
    response.appendHeader('set-cookie', 'a=1');
    response.appendHeader('Set-Cookie', ['b=2', 'c=3']);
    response.appendHeader('x-appended', 'only');
    answerJSON(response, {
      names: response.getHeaderNames(),
      headers: Object.entries(response.getHeaders()),
      one: response.getHeader('X-NUMBER'),
      has: [response.hasHeader('X-List'), response.hasHeader('x-removed')],
      before: [response.headersSent, response.finished, response.writableEnded, response.sendDate, response.statusCode],
    });
  },

  head(request, response) {
    response.setHeader('x-a', 'old');
    response.setHeader('x-b', 'kept');
    response.writeHead(201, { 'X-A': 'new', 'x-c': 'added' });
    response.end('written');
  },

  'head-with-message'(request, response) {
    response.writeHead(404, 'Not Here', { 'content-type': 'text/plain' }).end('gone');
  },

  'head-of-pairs'(request, response) {
    response.setHeader('x-a', 'old');
    response.writeHead(200, [['x-a', '1'], ['x-a', '2'], ['set-cookie', 'a=1'], ['set-cookie', 'b=2']]);
    response.end();
  },

  'flat-head'(request, response) {
    response.writeHead(200, ['x-a', '1', 'x-a', '2', 'x-b', '3']);
    response.end();
  },

  flush(request, response) {
    response.statusCode = 202;
    response.flushHeaders();
    response.flushHeaders();
    response.end(String(response.headersSent));
  },

  status(request, response, code) {
    response.statusCode = Number(code);
    response.statusMessage = 'Whatever';
    response.end('a body, if there can be one');
  },

  'no-date'(request, response) {
    response.sendDate = false;
    response.end('timeless');
  },

  'removed-date'(request, response) {
    response.removeHeader('date');
    response.end('timeless');
  },

  date(request, response) {
    response.setHeader('date', 'Thu, 01 Jan 1970 00:00:00 GMT');
    response.end('long ago');
  },

  redirect(request, response) {
    response.writeHead(302, { location: '/elsewhere' });
    response.end();
  },

  connection(request, response) {
    response.setHeader('Connection', 'keep-alive');
    response.setHeader('x-kept', '1');
    response.end(String(response.hasHeader('connection')));
  },

  trailers(request, response) {
    response.setTrailer('X-First', '1');
    response.write('trailers ');
    response.addTrailers({ 'x-second': '2', 'x-third': 3 });
    response.end('follow');
  },

  hints(request, response) {
    const sent = [
      response.writeEarlyHints({ link: '</style.css>; rel=preload', 'x-trace': '1' }),
      response.writeEarlyHints({ link: ['</a.js>; rel=preload', '</b.js>; rel=preload'] }),
      response.writeEarlyHints({ link: [] }),
    ];
    response.end(JSON.stringify(sent));
  },

  push(request, response) {
    response.createPushResponse({ ':path': '/pushed' }, (error, pushed) => {
      if (error) throw error;
      pushed.setHeader('x-pushed', 'yes');
      pushed.statusCode = 201;
      pushed.end('pushed');
      response.end('one push');
    });
  },

  misuse(request, response) {
    const before = refused([
      () => { response.statusCode = 99; },
      () => { response.statusCode = 101; },
      () => { response.statusCode = 199; },
      () => { response.statusCode = 600; },
      () => { response.statusCode = 599; },
      () => { response.statusCode = 200; },
      () => response.setHeader('', 'x'),
      () => response.setHeader('a b', 'x'),
      () => response.setHeader(':status', '200'),
      () => response.setHeader('x-none', null),
      () => response.setHeader(5, 'x'),
      () => response.appendHeader('', 'x'),
      () => response.setTrailer(':path', 'x'),
      () => response.setTrailer('x-none', null),
      () => response.getHeader(5),
      () => response.writeEarlyHints({}),
      () => response.writeEarlyHints({ link: 'no link' }),
      () => response.writeEarlyHints(5),
      () => { request.method = ' '; },
      () => { request.method = 5; },
    ]);
    response.writeHead(200);
    const after = refused([
      () => response.setHeader('x', 'y'),
      () => response.appendHeader('x', 'y'),
      () => response.removeHeader('x'),
      () => response.writeHead(200),
      () => response.flushHeaders(),
    ]);
    const late = [response.writeContinue(), response.writeEarlyHints({ link: '</a>; rel=preload' })];
    response.end(JSON.stringify([before, after, late]));
    response.end();
  },
};

function onRequest(request, response) {
  const [, name, argument] = request.url.split(/[/?]/);
  const route = routes[name];
  if (route) {
    route(request, response, argument);
  } else {
    response.statusCode = 404;
    response.end('no such route');
  }
}

function onCheckContinue(request, response) {
  if (request.url === '/refused') {
    response.writeHead(403).end('not wanted');
  } else {
    response.writeContinue();
    onRequest(request, response);
  }
}

process.removeAllListeners('warning');
const server = options.certfile
  ? http2.createSecureServer({ cert: fs.readFileSync(options.certfile), key: fs.readFileSync(options.keyfile) }, onRequest)
  : http2.createServer(onRequest);
if (options.checkContinue) server.on('checkContinue', onCheckContinue);
server.listen(options.port, '127.0.0.1');
