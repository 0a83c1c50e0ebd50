package frames

// Deflate is what the two sides of a connection have agreed on about the extension
// permessage-deflate, RFC 7692 section 7.1. The zero value is no extension.
type Deflate struct {
	Agreed bool

	// The sides that compress each message by itself, sections 7.1.1.1 and 7.1.1.2.
	ServerNoContextTakeover bool
	ClientNoContextTakeover bool

	// The windows in bits, from MinWindowBits to MaxWindowBits, if there is such a
	// parameter, else 0, sections 7.1.2.1 and 7.1.2.2.
	ServerMaxWindowBits int
	ClientMaxWindowBits int
}

// ServerWindow returns the window in bits of what the server sends.
func (d Deflate) ServerWindow() int { return orLargest(d.ServerMaxWindowBits) }

// ClientWindow returns the window in bits of what the client sends.
func (d Deflate) ClientWindow() int { return orLargest(d.ClientMaxWindowBits) }

func orLargest(bits int) int {
	if bits == 0 {
		return MaxWindowBits
	}
	return bits
}
