package replica

import "strconv"

// Code names a reason for programs.
type Code string

// Why an operation is not counted, or has no answer of the app. They stand in
// error messages as the field code.
const (
	CodeUnavailable    Code = "unavailable"      // the engine or the state fails; it is certain that this did not count
	CodeUnknown        Code = "unknown"          // it may be counted, now or later, or never
	CodeTooBig         Code = "too_big"          // the state would be larger than the engine takes
	CodeTooManyRooms   Code = "too_many_rooms"   // the room is one too many
	CodeRefused        Code = "refused"          // the app's own refusal
	CodeFailed         Code = "failed"           // the app panicked on it
	CodeBadID          Code = "bad_id"           // the id has none of the forms
	CodeExpected       Code = "expected"         // a number before this one is missing
	CodeUnknownClient  Code = "unknown_client"   // it does not begin with number 1, and what it did before is not known
	CodeReused         Code = "id_reused"        // the id was given to another operation
	CodeMayHaveCounted Code = "may_have_counted" // it is so old that it is not known any more
)

// Error is why an operation is not counted, or has no answer of the app. Errors are
// compared by their code: errors.Is(err, ErrUnknown).
type Error struct {
	Code  Code
	Retry bool // the same operation, with the same id if it has one, may be sent again
	text  string
}

// NewError returns an error with a text for people.
func NewError(code Code, retry bool, text string) *Error {
	return &Error{Code: code, Retry: retry, text: text}
}

// Error returns the text for people.
func (e *Error) Error() string { return e.text }

// Is reports whether the target is an Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Why operations are refused for no fault of the app. The texts are for clients;
// causes are reported.
var (
	// ErrUnavailable: it is certain that the operation did not count now.
	ErrUnavailable = NewError(CodeUnavailable, true, "unavailable, try again later")
	// ErrUnknown: it is not known whether the operation is stored, or will be.
	ErrUnknown = NewError(CodeUnknown, false, "outcome unknown")
	// ErrUnknownID: that, of an operation with an id.
	ErrUnknownID = NewError(CodeUnknown, true, "outcome unknown, retry with the same id")
	// ErrTooBig: the state with the operation is larger than the engine takes.
	ErrTooBig = NewError(CodeTooBig, false, "room is full")
	// ErrTooLong: the message is larger than the engine takes.
	ErrTooLong = NewError(CodeTooBig, false, "message is too big to be kept")
	// ErrTooManyRooms: the room would be one too many; see Limit.
	ErrTooManyRooms = NewError(CodeTooManyRooms, false, "no more rooms can be stored")
	// ErrUnknownClient: what the client did before the operation is not known.
	ErrUnknownClient = NewError(CodeUnknownClient, false, "this client is not known here: its operations may have counted")

	errFailed         = NewError(CodeFailed, false, "the app failed on this operation")
	errReused         = NewError(CodeReused, false, "this id was given to another operation")
	errMayHaveCounted = NewError(CodeMayHaveCounted, false, "may have counted: this is too long ago to know")
)

// ErrExpected says which operation of a client is missing. The one that is refused can be
// sent again after it.
func ErrExpected(client string, n uint64) *Error {
	return NewError(CodeExpected, true, "expected "+client+":"+strconv.FormatUint(n, 10))
}
