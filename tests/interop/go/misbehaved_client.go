// Asks a server that misbehaves, all at once, each on a connection of its own, and says what came of it.
//
//	misbehaved_client '{"authority": URL, "cafile": PATH, "requests": [{"path": PATH, "timeout": SECONDS}]}'
//
// With `upload`, a request has a body of so many octets. The result is a list of {status, informational, length,
// trailers, error}.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync"
	"time"
)

type request struct {
	Path    string
	Timeout float64
	Upload  int
}

type result struct {
	Protocol      string            `json:"protocol"`
	Status        int               `json:"status"`
	Informational []int             `json:"informational"`
	Length        int               `json:"length"`
	Trailers      map[string]string `json:"trailers"`
	Error         string            `json:"error"`
}

func ask(authority string, trusted *x509.CertPool, asked request) (found result) {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(asked.Timeout*float64(time.Second)))
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			found.Informational = append(found.Informational, code)
			return nil
		},
	})
	method, body := "GET", io.Reader(nil)
	if asked.Upload > 0 {
		method, body = "POST", bytes.NewReader(make([]byte, asked.Upload))
	}
	outgoing, _ := http.NewRequestWithContext(ctx, method, authority+asked.Path, body)
	response, err := transport.RoundTrip(outgoing)
	if err != nil {
		found.Error = err.Error()
		return
	}
	defer response.Body.Close()
	found.Protocol, found.Status = response.Proto, response.StatusCode
	content, err := io.ReadAll(response.Body)
	found.Length = len(content)
	if err != nil {
		found.Error = err.Error()
	}
	found.Trailers = map[string]string{}
	for name := range response.Trailer {
		found.Trailers[name] = response.Trailer.Get(name)
	}
	return
}

func main() {
	var job struct {
		Authority, Cafile string
		Requests          []request
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &job); err != nil {
		panic(err)
	}
	trusted := x509.NewCertPool()
	if pem, err := os.ReadFile(job.Cafile); err == nil {
		trusted.AppendCertsFromPEM(pem)
	}
	results := make([]result, len(job.Requests))
	var running sync.WaitGroup
	for position := range job.Requests {
		running.Add(1)
		go func(position int) {
			defer running.Done()
			results[position] = ask(job.Authority, trusted, job.Requests[position])
		}(position)
	}
	running.Wait()
	json.NewEncoder(os.Stdout).Encode(results)
}
