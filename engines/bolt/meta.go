package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// meta is a meta page of a bbolt file, as far as it matters here. The first two
// pages are meta pages; transactions write them in turn, so that the one of the
// transaction before stays when a write is cut. Numbers have the byte order of the
// machine.
type meta struct {
	pageSize int64
	pages    int64 // the file has at least so many
	txid     uint64
}

const (
	pageHeader = 16
	metaSize   = 64 // with the checksum, which is last

	metaMagic   = 0xED0CDAED
	metaVersion = 2
)

// parseMeta reads the meta page that p begins with.
func parseMeta(p []byte) (m meta, ok bool) {
	if len(p) < pageHeader+metaSize {
		return m, false
	}
	p = p[pageHeader : pageHeader+metaSize]
	order := binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(p[:metaSize-8])
	m = meta{pageSize: int64(order.Uint32(p[8:])), pages: int64(order.Uint64(p[40:])), txid: order.Uint64(p[48:])}
	ok = order.Uint32(p) == metaMagic && order.Uint32(p[4:]) == metaVersion && order.Uint64(p[metaSize-8:]) == sum.Sum64()
	return m, ok && m.pageSize >= 1<<10 && m.pageSize <= maxPage
}

// maxPage is the largest size of a page that bbolt looks for.
const maxPage = 16 << 20

// What is wrong with a file whose meta pages are not.
var (
	errNoRooms = errors.New("it is not a file of this engine, or it is damaged")
	errCut     = errors.New("it is cut")
)

// readMetas returns the newest meta page and the bytes of both.
func readMetas(file io.ReaderAt) (newest meta, both []byte, err error) {
	size, err := pageSize(file)
	if err != nil {
		return meta{}, nil, err
	}
	both = make([]byte, 2*size)
	if _, err := file.ReadAt(both, 0); err != nil && err != io.EOF {
		return meta{}, nil, err
	}
	first, ok := parseMeta(both)
	second, okToo := parseMeta(both[size:])
	if !ok || okToo && second.txid > first.txid {
		first = second
	}
	return first, both, nil
}

// pageSize finds it in the first page or, if that is damaged, in the second,
// wherever that begins.
func pageSize(file io.ReaderAt) (int64, error) {
	p := make([]byte, pageHeader+metaSize)
	for at := int64(0); at <= maxPage; at = max(2*at, 1<<10) {
		_, err := file.ReadAt(p, at)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if m, ok := parseMeta(p); ok && (at == 0 || at == m.pageSize) {
			return m.pageSize, nil
		}
	}
	return 0, errNoRooms
}

// settleMetas writes both meta pages back as they are read and has the disk
// confirm them: what is read from now on is what is on disk. It refuses a file
// that ends too early.
func settleMetas(path string) (newest meta, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the operator names the file, which must be writable
	if err != nil {
		return meta{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return meta{}, err
	}
	newest, both, err := readMetas(file)
	if err != nil {
		return meta{}, err
	}
	if want := newest.pages * newest.pageSize; size < want {
		return meta{}, fmt.Errorf("%w: it has %d bytes, and should have %d", errCut, size, want)
	}
	if _, err := file.WriteAt(both, 0); err != nil {
		return meta{}, err
	}
	return newest, file.Sync()
}
