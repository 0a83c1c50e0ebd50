package socket

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// goroutineDriver drives a connection with a goroutine that reads, and with a
// second one while something waits to be written.
type goroutineDriver struct {
	link
	conn *Conn

	// Guarded by conn.mu.
	writing bool       // the second goroutine runs
	changed *sync.Cond // what a goroutine waits for may have changed; nil until one waits

	writeBegan atomic.Int64 // the moment when the write under way began; 0 if none is
}

// errParked ends a reading goroutine whose link runs the driver again once there is
// something to read.
var errParked = errors.New("reading continues later")

// run reads until the connection has ended, or until the link is parked. What is
// buffered was read before.
func (d *goroutineDriver) run(buffered []byte) {
	err := d.readAll(buffered)
	switch err {
	case errParked:
		return
	case io.EOF:
		d.linger()
	}
	d.finish(err)
}

// readAll hands over what arrives, until an error ends it. A panic of the handler is
// one.
func (d *goroutineDriver) readAll(buffered []byte) (err error) {
	defer recovered(&err)
	if len(buffered) > 0 {
		d.receive(buffered)
	}
	for {
		b, err := d.link.read()
		if err != nil {
			return err
		}
		d.receive(b.b)
		putBuffer(b)
	}
}

// receive hands over what one read brought. If the client has to wait for its
// answers, receive waits with it.
func (d *goroutineDriver) receive(p []byte) {
	r := reader{d.conn}
	for n := len(p); len(p) > 0; n = 0 {
		r.beginRead(n)
		p = r.consume(p)
		d.conn.handler.Flush()
		r.endRead()
		if len(p) > 0 {
			d.waitForResume()
		}
	}
}

func (d *goroutineDriver) waitForResume() {
	d.conn.mu.Lock()
	defer d.conn.mu.Unlock()
	for d.conn.isPaused() {
		d.await()
	}
}

// linger waits until a client that has ended its direction, and may still read, has
// been told everything.
func (d *goroutineDriver) linger() {
	reader{d.conn}.hungUp()
	d.conn.mu.Lock()
	defer d.conn.mu.Unlock()
	for d.conn.isClosing() {
		d.await()
	}
}

// finish ends the connection, if it has not ended, waits for the goroutine that
// writes, and tells the handler.
func (d *goroutineDriver) finish(err error) {
	d.conn.mu.Lock()
	d.conn.markEnded()
	d.link.abort()
	for d.writing {
		d.await()
	}
	end := d.conn.clear(err)
	d.conn.mu.Unlock()
	d.link.wait()
	d.conn.handler.Closed(end)
}

// await returns after the next announce. Conn.mu is held, but not while it waits.
func (d *goroutineDriver) await() {
	if d.changed == nil {
		d.changed = sync.NewCond(&d.conn.mu)
	}
	d.changed.Wait()
}

func (d *goroutineDriver) announce() {
	if d.changed != nil {
		d.changed.Broadcast()
	}
}

func (d *goroutineDriver) resume() { d.announce() }

// flush starts the goroutine that writes.
func (d *goroutineDriver) flush() {
	if p := d.conn.unwritten(); len(p) > 0 && !d.writing {
		d.writing = true
		go d.writeAll(p)
	}
}

// writeAll writes p, and then what waits by then, until nothing does.
func (d *goroutineDriver) writeAll(p []byte) {
	for len(p) > 0 {
		n, err := d.writeSome(p)
		p = d.wrote(n, err)
	}
}

// writeSome waits until the link has taken some of p. The writer of an HTTP
// response is code of other people: its panic ends the connection only.
func (d *goroutineDriver) writeSome(p []byte) (n int, err error) {
	defer recovered(&err)
	d.writeBegan.Store(int64(now()))
	return d.link.write(p)
}

// wrote reports what was written and returns what is to be written next.
func (d *goroutineDriver) wrote(n int, err error) (next []byte) {
	d.conn.mu.Lock()
	defer d.conn.mu.Unlock()
	d.writeBegan.Store(0)
	next = d.conn.wrote(n, err)
	if len(next) == 0 {
		d.writing = false
		d.announce()
	}
	return next
}

// blocked does not count that the goroutine that writes has no processor.
func (d *goroutineDriver) blocked() time.Duration {
	began := moment(d.writeBegan.Load())
	if began == 0 || d.link.hasRoom() {
		return 0
	}
	return now().since(began)
}

func (d *goroutineDriver) close() {
	d.link.close()
	d.announce()
}

func (d *goroutineDriver) abort() {
	d.link.abort()
	d.announce()
}

// recovered turns a panic into an error with its stack.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = panicError(v)
	}
}

// panicError returns an error for a value that was recovered, with the stack.
func panicError(v any) error { return fmt.Errorf("panic: %v\n%s", v, debug.Stack()) }
