package blackbox

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// throngOf is set where this binary is to be a throng: the server's address, the path, how many
// join and how many in a second.
const throngOf = "BLACKBOX_THRONG"

// beThrong joins evenly with connections that speak json, says so, and how many bytes they have
// read once its input ends.
func beThrong(spec string) {
	var address, path string
	var size, rate int
	fmt.Sscan(spec, &address, &path, &size, &rate)
	var bytes atomic.Int64
	request := strings.Replace(handshake(path, "Sec-WebSocket-Protocol: json"), "Host: localhost", "Host: "+address, 1)
	begun := time.Now()
	for i := range size {
		time.Sleep(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_, err = io.WriteString(conn, request)
		}
		r := bufio.NewReaderSize(conn, 512)
		if err == nil {
			err = readTo(r, "\r\n")
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go func() {
			for p := make([]byte, 512); ; {
				n, err := r.Read(p)
				if bytes.Add(int64(n)); err != nil {
					return
				}
			}
		}()
	}
	fmt.Println("joined in", time.Since(begun))
	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Println(bytes.Load())
	select {} // until it is killed
}
