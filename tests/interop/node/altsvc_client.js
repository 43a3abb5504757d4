// What an HTTP/2 client hears of alternative services and origins. One argument, JSON: {authority, cafile}. Makes one
// request and prints one line of JSON when it has been answered: {altsvc: [[alt, origin, streamId]], origin: [[...]],
// originSet}.
'use strict';

const fs = require('fs');
const http2 = require('http2');

const { authority, cafile } = JSON.parse(process.argv[2]);
const heard = { altsvc: [], origin: [], originSet: null };
const session = http2.connect(authority, { ca: fs.readFileSync(cafile) });
session.on('altsvc', (...event) => heard.altsvc.push(event));
session.on('origin', (origins) => heard.origin.push(origins));
const stream = session.request({ ':path': '/' });
stream.resume();
stream.on('end', () => {
  heard.originSet = session.originSet || null;
  console.log(JSON.stringify(heard));
  session.close();
});
