package caddyws

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A certificate for localhost that signs itself. Caddy is given it in files: a
// certificate that Caddy makes in the background, as with `tls internal`, is a data
// race with its own start, which the race detector takes for a fault of the test
// (Caddy 2.11: caddytls.TLS.Start writes fields that its event "cert_obtaining" reads).

// certificateFile has the certificate, and its key.
func (s *server) certificateFile() string { return filepath.Join(s.dir, "localhost.pem") }

// writeCertificate makes certificateFile.
func (s *server) writeCertificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: certificate}, {Type: "PRIVATE KEY", Bytes: private}} {
		_ = pem.Encode(&text, block)
	}
	if err := os.WriteFile(s.certificateFile(), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// roots trusts the certificate.
func (s *server) roots() *tls.Config {
	s.t.Helper()
	text, err := os.ReadFile(s.certificateFile())
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		s.t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: pool}
}
