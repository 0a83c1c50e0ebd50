package caddyws

import (
	"errors"
	"net/http"

	"github.com/caddyws/caddy-websocket/frames"
	"github.com/caddyws/caddy-websocket/replica"
	"github.com/caddyws/caddy-websocket/room"
)

// writeAnswer answers a plain request with what came of its message.
func writeAnswer(w http.ResponseWriter, answer room.Answer, as mediaType) error {
	w.Header().Set("Cache-Control", "no-store")
	status := statusOf(answer)
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return nil
	}
	w.Header().Set("Content-Type", as.contentType())
	if answer.Binary {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
	_, err := w.Write(answer.Data)
	return err
}

// statusOf is the status of an answer.
func statusOf(a room.Answer) int {
	switch {
	case a.Err != nil:
		return statusOfRefusal(a.Err)
	case a.Code != 0:
		return statusOfCode(a.Code)
	case a.Data == nil:
		return http.StatusNoContent
	}
	return http.StatusOK
}

// statusOfRefusal is the status for what a message was refused for.
func statusOfRefusal(err error) int {
	e, ok := errors.AsType[*replica.Error](err)
	if !ok {
		return http.StatusBadRequest // by the app
	}
	switch e.Code {
	case room.CodeReadOnly:
		return http.StatusForbidden
	case room.CodeBusy, replica.CodeUnavailable:
		return http.StatusServiceUnavailable
	case replica.CodeUnknown:
		return http.StatusGatewayTimeout
	case replica.CodeTooBig, replica.CodeTooManyRooms:
		return http.StatusInsufficientStorage
	case replica.CodeExpected, replica.CodeUnknownClient, replica.CodeMayHaveCounted:
		return http.StatusConflict
	case replica.CodeReused:
		return http.StatusUnprocessableEntity
	case replica.CodeFailed:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// statusOfCode is the status for what a connection would be closed with.
func statusOfCode(code frames.CloseCode) int {
	switch code {
	case frames.NormalClosure:
		return http.StatusNoContent
	case frames.Unauthorized:
		return http.StatusUnauthorized
	case frames.UnsupportedData:
		return http.StatusUnsupportedMediaType
	case frames.PolicyViolation:
		return http.StatusForbidden
	case frames.MessageTooBig:
		return http.StatusRequestEntityTooLarge
	case frames.InternalError:
		return http.StatusInternalServerError
	case frames.GoingAway, frames.ServiceRestart, frames.TryAgainLater:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}
