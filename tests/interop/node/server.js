// An HTTP/2 server for the interop tests. One argument, JSON: {port, certfile, keyfile}; without the files it speaks h2c.
// tests/support/connections/app.py answers the same routes with sync_h2.
'use strict';

const fs = require('fs');
const http2 = require('http2');
const { pattern, digest } = require('./pattern.js');

const options = JSON.parse(process.argv[2]);

function answerJSON(stream, value) {
  stream.respond({ 'content-type': 'application/json' });
  stream.end(JSON.stringify(value));
}

const routes = {
  // The request's body comes back as it arrives.
  echo(stream, headers) {
    if (headers.expect === '100-continue') stream.additionalHeaders({ ':status': 100 });
    stream.respond({ 'content-type': headers['content-type'] || 'application/octet-stream' });
    stream.pipe(stream);
  },

  // The length and checksum of the request's body, and the trailers that followed it.
  async sha256(stream) {
    let trailers = {};
    stream.on('trailers', (received) => { trailers = { ...received }; });
    const { length, sha256 } = await digest(stream);
    answerJSON(stream, { length, sha256, trailers });
  },

  bytes(stream, headers, size) {
    stream.respond({ 'content-length': size });
    if (headers[':method'] === 'HEAD') stream.end();
    else pattern(Number(size)).pipe(stream);
  },

  trailers(stream) {
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checksum': 'abc', 'x-second': '2' }));
    stream.respond({ trailer: 'x-checksum, x-second' }, { waitForTrailers: true });
    stream.end('trailers follow');
  },

  push(stream) {
    stream.pushStream({ ':path': '/bytes/16385' }, (error, pushed) => {
      if (error) throw error;
      pushed.respond({ 'x-pushed': 'yes' });
      pattern(16385).pipe(pushed);
      stream.respond();
      stream.end('one push');
    });
  },

  informational(stream) {
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    stream.additionalHeaders({ ':status': 103, link: '</script.js>; rel=preload' });
    stream.respond();
    stream.end('after two 103');
  },

  // Headers and half of the body at once, the other half when `milliseconds` have passed.
  slow(stream, headers, milliseconds) {
    stream.respond();
    stream.write('first half, ');
    setTimeout(() => stream.end('second half'), Number(milliseconds));
  },

  status(stream, headers, status) {
    stream.respond({ ':status': Number(status) }, { endStream: true });
  },

  reset(stream, headers, code) {
    stream.close(Number(code));
  },

  goaway(stream, headers, code) {
    stream.respond();
    const { session } = stream;
    session.goaway(Number(code), stream.id, Buffer.from('see you'));
    stream.end('goodbye');
    stream.on('close', () => session.close()); // Node stops reading here, and would not see that the peer closed
  },

  'ping-me'(stream) {
    stream.session.ping(Buffer.from('pingpong'), (error, milliseconds, payload) => {
      answerJSON(stream, error ? { error: error.message } : { milliseconds, payload: payload.toString() });
    });
  },

  // What this end says of session and stream when the request has ended.
  async state(stream) {
    await digest(stream);
    answerJSON(stream, { session: stream.session.state, stream: stream.state });
  },

  window(stream, headers, size) {
    stream.session.setLocalWindowSize(Number(size));
    stream.respond({}, { endStream: true });
  },
};

async function onStream(stream, headers) {
  stream.on('error', () => {}); // a peer's reset; the peer is the one that tests it
  const [, name, argument] = headers[':path'].split('/');
  try {
    if (Object.hasOwn(routes, name)) await routes[name](stream, headers, argument);
    else stream.respond({ ':status': 404 }, { endStream: true });
  } catch (error) {
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  }
}

const server = options.certfile
  ? http2.createSecureServer({ cert: fs.readFileSync(options.certfile), key: fs.readFileSync(options.keyfile) })
  : http2.createServer();
server.on('stream', onStream);
server.listen(options.port, '127.0.0.1');
