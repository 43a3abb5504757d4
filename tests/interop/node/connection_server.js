// An HTTP/2 server for the interop tests of tunnels, and of what concerns the connection more than a stream. One
// argument, JSON: {port, certfile, keyfile}; without the files it speaks h2c. Settings: extended CONNECT is enabled,
// and 0xf000 is 7; of the peer's, 0xf001 is looked at.
'use strict';

const fs = require('fs');
const http2 = require('http2');
const { digest } = require('./pattern.js');

const options = JSON.parse(process.argv[2]);

// What a CONNECT to `NAME:PORT`, or an extended one for `/NAME`, gets.
const tunnels = {
  echo(stream, headers) {
    stream.respond({ 'x-protocol': headers[':protocol'] || 'none' });
    stream.pipe(stream);
  },

  // Ends its side at once; what comes afterwards is told to whoever asks for /told.
  half(stream) {
    stream.respond();
    stream.end('my side is done');
    digest(stream).then(({ text }) => { stream.session.told = text; });
  },

  broken(stream) {
    stream.respond();
    stream.write('so far', () => stream.close(http2.constants.NGHTTP2_CONNECT_ERROR));
  },

  refused(stream) {
    stream.respond({ ':status': 502, 'content-length': 11 });
    stream.end('unreachable');
  },
};

function answer(stream, value) {
  stream.respond({ 'content-type': 'application/json' });
  stream.end(JSON.stringify(value));
}

const routes = {
  told(stream) { answer(stream, stream.session.told); },
  settings(stream) { answer(stream, stream.session.remoteSettings); },
  resets(stream) { answer(stream, stream.session.resets); },
  pings(stream) { answer(stream, stream.session.pings); },

  // Until it is reset.
  open(stream) { stream.respond(); },

  // The opaque data of a GOAWAY that some session has sent; waits until one has.
  goaway(stream) { goaway.then((data) => answer(stream, data)); },

  // Several SETTINGS at once; answers when each has been acknowledged, in order.
  'send-settings'(stream, headers, count) {
    const acknowledged = [];
    for (let number = 1; number <= Number(count); number++) {
      stream.session.settings({ initialWindowSize: 65535 + number }, () => {
        acknowledged.push([number, stream.session.localSettings.initialWindowSize]);
        if (number === Number(count)) answer(stream, acknowledged);
      });
    }
  },

  'send-pings'(stream, headers, count) {
    const payloads = [];
    for (let number = 1; number <= Number(count); number++) {
      stream.session.ping(Buffer.from(`payload${number}`), (error, milliseconds, payload) => {
        payloads.push(error ? error.code : payload.toString());
        if (payloads.length === Number(count)) answer(stream, payloads);
      });
    }
  },
};

const settings = { enableConnectProtocol: true, customSettings: { 0xf000: 7 } };
const serverOptions = { settings, remoteCustomSettings: [0xf001] };
const server = options.certfile
  ? http2.createSecureServer({ ...serverOptions, cert: fs.readFileSync(options.certfile), key: fs.readFileSync(options.keyfile) })
  : http2.createServer(serverOptions);

let sayGoaway;
const goaway = new Promise((resolve) => { sayGoaway = resolve; });

server.on('session', (session) => {
  session.resets = [];
  session.pings = [];
  session.on('error', () => {});
  session.on('ping', (payload) => session.pings.push(payload.toString()));
  session.on('goaway', (code, lastStreamID, data) => { if (data) sayGoaway([code, Buffer.from(data).toString()]); });
});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {}); // a peer's reset; the peer is the one that tests it
  const { session } = stream;
  stream.on('close', () => { if (stream.rstCode) session.resets.push(stream.rstCode); });
  if (headers[':method'] === 'CONNECT') {
    const name = headers[':path'] === undefined ? headers[':authority'].split(':')[0] : headers[':path'].slice(1);
    tunnels[name](stream, headers);
  } else {
    const [, name, argument] = headers[':path'].split('/');
    routes[name](stream, headers, argument);
  }
});
server.listen(options.port, '127.0.0.1');
