package caddyws

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyws/caddy-websocket/apps"
	"github.com/caddyws/caddy-websocket/handshake"
)

var (
	errTooBig      = errors.New("message exceeds max_message_size")
	errNotText     = errors.New("body is not UTF-8; binary is sent as application/octet-stream")
	errCoding      = errors.New("body has a content coding; send it as it is")
	errContentType = errors.New("body has another charset than UTF-8, or its Content-Type cannot be read")
	errLate        = errors.New("body did not come in time")
)

// readMessage reads the body of a POST as one message. What makes it no message for
// us is told before the body comes, where it is known by then.
func (h *Handler) readMessage(w http.ResponseWriter, r *http.Request) (apps.Message, error) {
	binary, err := judgeContent(w.Header(), r.Header)
	switch {
	case err != nil:
		return apps.Message{}, caddyhttp.Error(http.StatusUnsupportedMediaType, err)
	case r.ContentLength > int64(h.MaxMessageSize):
		return apps.Message{}, caddyhttp.Error(http.StatusRequestEntityTooLarge, errTooBig)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(h.MaxMessageSize)))
	if err != nil {
		return apps.Message{}, bodyError(err)
	}
	r.Body = http.NoBody // for leaveBody
	if !binary && !utf8.Valid(body) {
		return apps.Message{}, caddyhttp.Error(http.StatusBadRequest, errNotText)
	}
	return apps.Message{Data: body, Binary: binary}, nil
}

// bodyError returns what a body is refused for that could not be read whole. A handler
// around this one, such as request_body, may have refused it with a reason of its own.
func bodyError(err error) error {
	if e, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return e
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return caddyhttp.Error(http.StatusRequestEntityTooLarge, errTooBig)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return caddyhttp.Error(http.StatusRequestTimeout, errLate)
	}
	return caddyhttp.Error(http.StatusBadRequest, err)
}

// judgeContent tells from the header of a POST whether its body is binary. An error
// means that it is neither that nor text in UTF-8 as it stands; answer then says what
// is taken (RFC 9110, section 15.5.16).
func judgeContent(answer, header http.Header) (binary bool, err error) {
	for coding := range handshake.Elements(header, "Content-Encoding") {
		if !strings.EqualFold(coding, "identity") {
			answer.Set("Accept-Encoding", "identity")
			return false, errCoding
		}
	}
	text := strings.Join(header["Content-Type"], ", ")
	if text == "" {
		return false, nil
	}
	media, params, err := mime.ParseMediaType(text)
	if err == nil && media == "application/octet-stream" {
		return true, nil
	}
	if charset, ok := params["charset"]; err != nil || ok && !isUTF8(charset) {
		answer.Set("Accept", "*/*;charset=utf-8, application/octet-stream")
		return false, errContentType
	}
	return false, nil
}

// isUTF8 reports whether a charset is UTF-8, or ASCII, which is a part of it.
func isUTF8(charset string) bool {
	return slices.Contains([]string{"utf-8", "utf8", "us-ascii", "ascii"}, strings.ToLower(charset))
}

// leaveBody has the answer not wait for a body that nobody has read, and the connection
// end with it. Over HTTP/1 net/http would first read up to 256 KiB of the body, as long
// as that takes. Over HTTP/2 and 3 nothing waits.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	fields := w.Header()["Connection"]
	if r.ProtoMajor != 1 || r.ContentLength == 0 || r.Body == http.NoBody || slices.Contains(fields, "close") {
		return
	}
	lingerAfter(w)
	w.Header()["Connection"] = append([]string{"close"}, fields...) // net/http looks at the first line
}

// lingerAfter has net/http wait a moment before it closes the connection: a client that
// is still sending would be reset, and perhaps never see the answer. It does so for a
// body beyond a limit, so it is told of one.
func lingerAfter(w http.ResponseWriter) {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = wrapper.Unwrap()
	}
	tooMuch := io.NopCloser(strings.NewReader("x"))
	_, _ = http.MaxBytesReader(w, tooMuch, 0).Read(make([]byte, 1))
}
