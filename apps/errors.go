package apps

import (
	"errors"
	"fmt"
)

// Refuse wraps err so that Receive can refuse a message without ending the
// connection: the sender gets the text of err as an error message, a POST 400.
func Refuse(err error) error { return &refusal{err} }

type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// IsRefusal reports whether err was made by [Refuse].
func IsRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

// CloseError ends the connection with a close code of the app's choice.
// Codes for applications are 4000-4999 (RFC 6455 section 7.4.2).
type CloseError struct {
	Code   int
	Reason string // at most 123 bytes of UTF-8
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("closing with %d: %s", e.Code, e.Reason)
}
