package peers

import (
	"crypto/tls"
	"net/http"

	"github.com/olahol/melody"
)

func serveMelody(addr string, secure *tls.Config) error {
	echo, chat := melody.New(), melody.New()
	echo.Config.MaxMessageSize = maxMessageSize
	echo.HandleMessage(func(s *melody.Session, p []byte) { _ = s.Write(p) })        // an error ends the connection
	chat.HandleMessage(func(_ *melody.Session, p []byte) { _ = chat.Broadcast(p) }) // the client may have gone
	serve := func(m *melody.Melody) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = m.HandleRequest(w, r) // the client sees the error
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", serve(echo))
	mux.HandleFunc("/chat", serve(chat))
	return serveHandler(addr, secure, mux)
}
