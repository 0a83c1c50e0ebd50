package apps

// Pager is an App that brings a page of its own: what a browser shows that opens the URL
// of a route with the option page. Without this ability it is the page that comes with
// the module.
type Pager interface {
	// Page returns an HTML document in UTF-8, of 1 byte to 1 MiB. It is called once for
	// each route, when the configuration is loaded, and its result is not changed later.
	// The document is sent without a Content-Security-Policy: a meta element in it can
	// set one. It reaches the room by a WebSocket to location.href.
	Page() []byte
}
